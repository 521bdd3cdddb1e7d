"""An answer that holds no number is an error in words, in each task's own terms: JSON would make it null."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from shared.errors import BadInput
from shared.package import processing
from shared.package.manifest import Tensor
from shared.package.table import Column, Table
from shared.package.tasks import TASKS, TENSOR
from shared.serving import rerank, tasks
from shared.serving.inputs import sounds, texts
from shared.serving.loaded import Loaded
from shared.values.numbers import NoNumber
from tests.serving import packages
from tests.serving.test_sounds import encoded
from tests.serving.test_towers import NEAR, PIXELS, RED, png
from tests.serving.test_zero_shot import FILES, PLAN

TABLE = Table(columns=[Column(name="a"), Column(name="b")], reference="reference.csv")
REFERENCE = {"reference.csv": b"a,b\n1,1\n"}
JSON = "application/json"
TEXTS = json.dumps({"inputs": ["the cat", "the mat"]}).encode()
ROWS = json.dumps({"inputs": [[1, 1], [1, 2]]}).encode()
IMAGES = json.dumps({"inputs": [base64.b64encode(png(RED)).decode()] * 2}).encode()
SOUNDS = json.dumps({"inputs": [base64.b64encode(encoded(np.zeros(800), 800)).decode()] * 2}).encode()
ENTAILS = processing.Entailment(entailment=0, contradiction=1)


def of(task: str, model: bytes, files: dict[str, bytes] | None = None, **plans: Any) -> Loaded:
    return packages.loaded(model, files=files, task=task, **plans)


def answering(number: float, name: str, shape: list[Any], shown: list[int]) -> bytes:
    """Of inputs of a shape, a number for all but the first of the rows: `shown` numbers in each."""
    axes = list(range(1, len(shape)))
    rows = [helper.make_node("ReduceSum", [name, "axes"], ["sums"], keepdims=0)] if axes else []
    nodes = [
        *rows,
        helper.make_node("Mul", ["sums", "zero"], ["zeros"]),
        helper.make_node("CumSum", ["zeros_and_one", "first"], ["counted"], exclusive=1),
        helper.make_node("Add", ["zeros", "one"], ["zeros_and_one"]),
        helper.make_node("Greater", ["counted", "half"], ["others"]),
        helper.make_node("Where", ["others", "number", "one"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["column"]),
        helper.make_node("Tile", ["column", "times"], ["wide"]),
        helper.make_node("Reshape", ["wide", "shown"], ["y"]),
    ]
    order = [*rows, nodes[len(rows)], nodes[len(rows) + 2], nodes[len(rows) + 1], *nodes[len(rows) + 3 :]]
    constants = {
        "axes": np.array(axes),
        "zero": np.float32(0),
        "one": np.float32(1),
        "half": np.float32(0.5),
        "first": np.array(0),
        "number": np.float32(number),
        "last": np.array([1]),
        "times": np.array([1, math.prod(shown)]),
        "shown": np.array([-1, *shown]),
    }
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    return packages.proto(
        order, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *shown])], constants
    )


def of_texts(task: str, number: float, width: int, **plans: Any) -> Loaded:
    """By the tokens' vectors, of which those of `mat` are the number."""
    table = np.ones((len(packages.VOCABULARY), width), np.float32)
    table[packages.VOCABULARY["mat"]] = number
    tokens = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "T"])]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["hidden"])]
    shape: list[Any] = ["N", "T", width]
    if task != "token-classification":
        nodes.append(helper.make_node("ReduceMean", ["hidden"], ["mean"], axes=[1], keepdims=0))
        shape = ["N", width]
    name = nodes[-1].output[0]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    model = packages.proto(nodes, tokens, outputs, {"table": table})
    return of(task, model, FILES, preprocess=PLAN, **plans)


def image_model(number: float) -> bytes:
    return answering(number, "image", ["N", 3, 4, 4], [2])


def detector(number: float) -> Loaded:
    boxes = np.array([[[1, 1, 3, 3, 0.9, 0.8], [1, 1, 2, 2, number, number]]], np.float32)
    model = packages.constant({"boxes": boxes}, (4, 4))
    return of("object-detection", model, preprocess=PIXELS, postprocess=processing.Boxes(form="xyxy", threshold=0.5))


ASKED: dict[str, tuple[Callable[[float], Loaded], bytes]] = {
    "image-classification": (
        lambda number: of("image-classification", image_model(number), preprocess=PIXELS),
        IMAGES,
    ),
    "object-detection": (detector, IMAGES),
    "text-classification": (lambda number: of_texts("text-classification", number, 2), TEXTS),
    "token-classification": (lambda number: of_texts("token-classification", number, 2), TEXTS),
    "zero-shot-classification": (
        lambda number: of_texts("zero-shot-classification", number, 2, labels=["cat", "mat"], postprocess=ENTAILS),
        TEXTS,
    ),
    "embedding": (lambda number: of_texts("embedding", number, 3), TEXTS),
    "audio-classification": (
        lambda number: of(
            "audio-classification",
            answering(number, "wave", ["N", 800], [2]),
            preprocess=processing.Audio(sample_rate=800, seconds=1.0, hop=0.5),
        ),
        json.dumps({"input": base64.b64encode(encoded(np.zeros(1600), 800)).decode()}).encode(),
    ),
    "tabular": (
        lambda number: of("tabular", answering(number, "x", ["N", 2], [2]), REFERENCE, preprocess=TABLE),
        ROWS,
    ),
    "tabular-regression": (
        lambda number: of("tabular-regression", answering(number, "x", ["N", 2], [1]), REFERENCE, preprocess=TABLE),
        ROWS,
    ),
}
GENERATING = {"text-generation", "speech-to-text"}  # whose logits runtime/decoder.py looks at


def test_each_task_is_asked() -> None:
    assert ASKED.keys() | GENERATING | {TENSOR} == TASKS.keys()


@pytest.mark.parametrize("task", ASKED)
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_no_number_is_an_error_with_words(task: str, number: float) -> None:
    make, body = ASKED[task]
    with pytest.raises(NoNumber, match="that is no number") as refused:
        tasks.predict(make(number), body, JSON, {})
    assert refused.value.status == 400
    answer = json.dumps(tasks.predict(make(0.25), body, JSON, {}))
    assert "NaN" not in answer and "null" not in answer


@pytest.mark.parametrize("task", ["tabular", "tabular-regression", "text-classification", "embedding"])
def test_of_several_inputs_the_one_is_named(task: str) -> None:
    make, body = ASKED[task]
    with pytest.raises(NoNumber, match=r"^input 1: the model answers this input with a"):
        tasks.predict(make(math.nan), body, JSON, {})
    one = json.loads(body)["inputs"][0]
    assert tasks.predict(make(math.nan), json.dumps({"input": one}).encode(), JSON, {})


@pytest.mark.parametrize("task", [task for task in ASKED if TASKS[task].explained])
def test_explanations(task: str) -> None:
    make, body = ASKED[task]
    sent = json.loads(body)
    one = sent["input"] if "input" in sent else sent["inputs"][-1]
    with pytest.raises(BadInput, match="no number"):
        tasks.explain(make(math.nan), json.dumps({"input": one}).encode(), JSON, {"samples": "8"})


@pytest.mark.parametrize("task", ["text-classification", "embedding"])
def test_ranks(task: str) -> None:
    request = rerank.Request(model="m", query="cat", documents=["the cat", "mat"])
    with pytest.raises(NoNumber, match="no number"):
        rerank.answer(ASKED[task][0](math.nan), request)


def test_images_near_sentences() -> None:
    served = of("zero-shot-classification", packages.towers(math.inf), FILES, preprocess=PIXELS, postprocess=NEAR)
    body = json.dumps({"input": base64.b64encode(png(RED)).decode(), "parameters": {"labels": ["cat", "bob"]}})
    with pytest.raises(NoNumber, match="a score that is no number"):
        tasks.predict(served, body.encode(), JSON, {})


def test_class_maps() -> None:
    maps = np.full((1, 2, 3, 3), np.nan, np.float32)
    model = packages.constant({"scores": np.ones((1, 2), np.float32), "maps": maps}, (4, 4))
    served = of("image-classification", model, preprocess=PIXELS, postprocess=processing.Scores(maps="maps"))
    with pytest.raises(NoNumber, match="a class map that is no number"):
        tasks.explain(served, png(RED), "image/png", {})


def test_what_fills_up_may_be_no_number() -> None:
    """Of shorter texts, some models give NaN for the places behind them; of detectors, some lists end in -inf."""
    body = json.dumps({"inputs": ["the cat", "the cat sat on a"]}).encode()
    table = np.ones((len(packages.VOCABULARY), 3), np.float32)
    table[packages.VOCABULARY["[PAD]"]] = math.nan
    tokens = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "T"])]
    outputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["N", "T", 3])]
    model = packages.proto(
        [helper.make_node("Gather", ["table", "input_ids"], ["hidden"])], tokens, outputs, {"table": table}
    )
    for pooling in ("mean", "max", "first", "last"):
        plan = processing.Vector(pooling=pooling, normalize=False)
        answer = tasks.predict(of("embedding", model, FILES, preprocess=PLAN, postprocess=plan), body, JSON, {})
        assert [result["embedding"] for result in answer["results"]] == [[1.0, 1.0, 1.0]] * 2
    answer = tasks.predict(of("token-classification", model, FILES, preprocess=PLAN), body, JSON, {})
    assert len(answer["results"]) == 2
    assert len(tasks.predict(detector(-math.inf), png(RED), "image/png", {})["objects"]) == 1


def test_a_vector_too_long_to_have_a_length() -> None:
    with pytest.raises(NoNumber, match="a vector that is no number"):
        tasks.predict(of_texts("embedding", 3e38, 3), TEXTS, JSON, {})


def test_numbers_that_the_input_has_no_room_for() -> None:
    plan = processing.Audio(sample_rate=800, features="spectrogram", n_fft=64, hop_length=32, power=2, log="none")
    tensor = Tensor("x", "FP16", [-1, -1, -1])
    loud = np.full(800, 30.0, np.float32)
    assert np.isfinite(sounds.feeds(tensor, plan, [loud / 30])["x"]).all()
    with pytest.raises(BadInput, match=r"the sound is too loud: .* FP16"):
        sounds.feeds(tensor, plan, [loud])
    table = np.ones((400, 2), np.float32)
    ids = [helper.make_tensor_value_info("input_ids", TensorProto.INT8, ["N", "T"])]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "wide"], ["hidden"]),
    ]
    outputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["N", "T", 2])]
    model = packages.proto(nodes, ids, outputs, {"table": table})
    many = packages.tokenizer()
    many.add_tokens([f"word{number}" for number in range(300)])
    files = {"tokenizer.json": many.to_str().encode()}
    served = of("token-classification", model, files, preprocess=PLAN)
    assert texts.feeds(served, ["the cat"])[0]["input_ids"].dtype == np.int8
    with pytest.raises(BadInput, match=r"input 'input_ids' at \[0, 2\]: \d+ is outside the range of INT8"):
        texts.feeds(served, ["the word250"])
