"""Decoders as exporters write them, beside transformers: with caches, in any steps, from any place on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx as format_
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadInput, TooLarge
from shared.runtime import onnx
from shared.runtime.caches import BLOCK, Geometry
from shared.runtime.decoder import Decoder

MODELS = Path(__file__).with_name("models")
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))
GEOMETRY = Geometry(heads=2, width=16)  # as in make.py; for graphs that do not say it
TOLERANCE = {"llama-genai-fp16": 0.05}  # of logits of some tens


def decoder(name: str, limit: int | None = None) -> Decoder:
    return Decoder(onnx.open_session(str(MODELS / f"{name}.onnx")), GEOMETRY, limit)


def reference(name: str) -> tuple[np.ndarray, np.ndarray]:
    """60 tokens, and what transformers makes of them: the logits after each."""
    with np.load(MODELS / f"{name.partition('-')[0]}.npz") as arrays:
        return arrays["tokens"], arrays["logits"]


def test_there_is_one_of_each_kind() -> None:
    kinds = {"gpt2-optimum", "gpt2-together", "llama-genai", "llama-genai-fp16", "llama-merged", "llama-optimum"}
    assert kinds | {"mistral-genai", "mistral-optimum"} == set(NAMES)
    assert {name for name in NAMES if decoder(name).in_place} == {"llama-genai", "mistral-genai"}
    assert {name for name in NAMES if not decoder(name).continues} == {"llama-genai-fp16"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [1, 7, 60])
def test_logits_are_those_of_transformers(name: str, step: int) -> None:
    tokens, logits = reference(name)
    subject = decoder(name)
    for start in range(0, len(tokens), step):
        given_ = subject.extend(tokens[start : start + step])
        expected = logits[min(start + step, len(tokens)) - 1]
        assert np.abs(given_ - expected).max() < TOLERANCE.get(name, 2e-4)
    assert subject.length == len(tokens)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_is_read_and_forgotten_the_logits_are_of_what_is_there(name: str, data: st.DataObject) -> None:
    tokens, logits = reference(name)
    subject = decoder(name)
    for _ in range(data.draw(st.integers(1, 6))):
        subject.rewind(data.draw(st.integers(0, subject.length)))
        subject.block = data.draw(st.sampled_from([1, 3, 256]))
        if subject.length < len(tokens):
            end = data.draw(st.integers(subject.length + 1, len(tokens)))
            given_ = subject.extend(tokens[subject.length : end])
            assert np.abs(given_ - logits[end - 1]).max() < TOLERANCE.get(name, 2e-4)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "llama-genai-fp16"])
def test_greedy_tokens_are_those_without_caches(name: str) -> None:
    """Each of 30 tokens, beside a decoder that reads all from the beginning for each."""
    tokens, _ = reference(name)
    with_caches, without = decoder(name), decoder(name)
    text = tokens[:5].tolist()
    logits = with_caches.extend(text)
    for _ in range(30):
        without.rewind(0)
        again = without.extend(text)
        assert logits.argmax() == again.argmax()
        text.append(int(logits.argmax()))
        logits = with_caches.extend(text[-1:])


@pytest.mark.parametrize("name", ["llama-optimum", "llama-genai"])
def test_what_cannot_be_read_leaves_what_was(name: str) -> None:
    tokens, logits = reference(name)
    subject = decoder(name, limit=20)
    subject.extend(tokens[:10])
    for bad, error in ([], BadInput), ([-1], BadInput), ([96], BadInput), (tokens[:11], TooLarge):
        with pytest.raises(error):
            subject.extend(bad)
    with pytest.raises(BadInput, match="11 are to be kept"):
        subject.rewind(11)
    assert np.abs(subject.extend(tokens[10:20]) - logits[19]).max() < 2e-4


def log_softmax(logits: np.ndarray) -> np.ndarray:
    exact = logits.astype(np.float64)
    return exact - np.log(np.exp(exact - exact.max()).sum()) - exact.max()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at_once", [256, 3])
@pytest.mark.parametrize("start", [0, 1, 13])
def test_scores_are_those_of_transformers(name: str, at_once: int, start: int) -> None:
    tokens, logits = reference(name)
    subject = decoder(name)
    if start:
        subject.extend(tokens[:start])
    subject._scored = min(subject._scored, at_once)
    assert (subject._scored == 1) == (name == "llama-genai-fp16"), "which cannot read several behind a first one"
    expected = [log_softmax(logits[place - 1])[tokens[place]] for place in range(start + 1, 40)]
    assert np.abs(subject.score(tokens[start:40]) - expected).max() < TOLERANCE.get(name, 2e-4)
    assert subject.length == 40 and np.abs(subject.extend(tokens[40:41]) - logits[40]).max() < TOLERANCE.get(name, 2e-4)
    assert subject.score([1]).shape == (0,)


def test_what_cannot_be_scored_leaves_what_was() -> None:
    tokens, _ = reference("llama")
    subject = decoder("llama-genai", limit=20)
    subject.extend(tokens[:10])
    for bad, error in ([], BadInput), ([-1], BadInput), ([96], BadInput), (tokens[:11], TooLarge):
        with pytest.raises(error):
            subject.score(bad)
    assert subject.length == 10


@pytest.mark.parametrize("name", ["num_logits_to_keep", None])
def test_a_graph_of_which_logits_are_of_the_last_token_only(name: str | None) -> None:
    """With an input that says of how many, or without one: then a token is read at a time."""
    subject = Decoder(onnx.open_session(last_only(name)), GEOMETRY)
    assert subject._scored == (1 if name is None else BLOCK)
    tokens, logits = reference("llama")
    expected = [log_softmax(logits[place - 1])[tokens[place]] for place in range(1, 40)]
    assert np.abs(subject.score(tokens[:40]) - expected).max() < 2e-4


def last_only(keep: str | None) -> bytes:
    """llama-optimum, whose logits are cut off behind it."""
    model = format_.load(MODELS / "llama-optimum.onnx")
    graph = model.graph
    for node in graph.node:
        for place, output in enumerate(node.output):
            if output == "logits":
                node.output[place] = "all"
    graph.initializer.append(format_.numpy_helper.from_array(np.array([2**62]), "end"))
    graph.initializer.append(format_.numpy_helper.from_array(np.array([1]), "axis"))
    if keep:
        graph.input.append(format_.helper.make_tensor_value_info(keep, format_.TensorProto.INT64, []))
        graph.initializer.append(format_.numpy_helper.from_array(np.array([1]), "shape"))
        graph.node.append(format_.helper.make_node("Reshape", [keep, "shape"], ["kept"]))
        graph.node.append(format_.helper.make_node("Neg", ["kept"], ["start"]))
    else:
        graph.initializer.append(format_.numpy_helper.from_array(np.array([-1]), "start"))
    graph.node.append(format_.helper.make_node("Slice", ["all", "start", "end", "axis"], ["logits"]))
    return bytes(model.SerializeToString())


def test_logits_that_are_no_numbers_are_an_error() -> None:
    model = format_.load(MODELS / "llama-optimum.onnx")
    for weight in model.graph.initializer:
        if weight.data_type == format_.TensorProto.FLOAT and len(weight.dims) == 2:
            array = np.full(tuple(weight.dims), np.nan, np.float32)
            weight.CopyFrom(format_.numpy_helper.from_array(array, weight.name))
    subject = Decoder(onnx.open_session(model.SerializeToString()))
    with pytest.raises(BadInput, match="no numbers"):
        subject.extend([1])
    with pytest.raises(BadInput, match="no numbers"):
        subject.score([1, 2])
