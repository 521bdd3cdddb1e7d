"""What a tokenizer.json says of cutting and padding reaches the tasks: on the left, tokens are still where they are."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from shared.package import manifest, processing
from shared.package.manifest import Manifest
from shared.serving.inputs import texts
from tests.serving import packages
from tests.serving.packages import VOCABULARY, loaded
from tests.serving.test_texts import _with_table, ask

OWN = processing.Text(tokenizer="tokenizer.json")
TEXTS = ["the cat", "anna went to paris with bob"]


def files(cut: int | None = None, pad: bool = True, **padding: object) -> dict[str, bytes]:
    """A tokenizer that cuts and pads on the left."""
    made = packages.tokenizer()
    if cut:
        made.enable_truncation(cut, direction="left")
    if pad:
        made.enable_padding(**{"direction": "left", "pad_id": 0, "pad_token": "[PAD]"} | padding)
    return {"tokenizer.json": made.to_str().encode()}


@pytest.mark.parametrize("pooling", ["mean", "max", "first", "last"])
@pytest.mark.parametrize("padding", [{}, {"length": 16}, {"pad_to_multiple_of": 8}])
def test_padding_on_the_left_is_nothing_to_pool(pooling: str, padding: dict) -> None:
    after = processing.Vector(pooling=pooling, normalize=False)  # type: ignore[arg-type]
    model = loaded(packages.lookup(4), files=files(**padding), task="embedding", preprocess=OWN, postprocess=after)
    hidden = packages.table(0, 4)[[VOCABULARY[word] for word in ("[CLS]", "the", "cat", "[SEP]")]]
    expected = {"mean": hidden.mean(0), "max": hidden.max(0), "first": hidden[0], "last": hidden[-1]}[pooling]
    assert ask(model, {"inputs": TEXTS})["results"][0]["embedding"] == pytest.approx(expected, abs=1e-6)
    assert ask(model, {"input": TEXTS[0]})["embedding"] == pytest.approx(expected, abs=1e-6)


def test_lengths_are_those_of_the_file() -> None:
    shape = lambda found, plan=OWN: texts.feeds(  # noqa: E731 - used below alone
        loaded(packages.lookup(2), files=found, preprocess=plan), ["anna"]
    )[0]["input_ids"].shape[1]
    assert shape(files(length=16)) == 16
    assert shape(files(pad_to_multiple_of=8)) == 8
    assert shape(files(pad=False)) == 3
    assert shape(files(length=16), processing.Text(tokenizer="tokenizer.json", padding="longest")) == 3
    whole = processing.Text(tokenizer="tokenizer.json", max_length=5, padding="max_length")
    assert shape(files(length=16), whole) == 5


def test_positions_begin_with_the_text() -> None:
    shape = ["N", "T"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("input_ids", "position_ids")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.INT64, shape)]
    graph = packages.proto([helper.make_node("Add", ["input_ids", "position_ids"], ["y"])], inputs, outputs, {})
    fed, _ = texts.feeds(loaded(graph, files=files(), preprocess=OWN), TEXTS)
    assert fed["position_ids"].tolist() == [[0, 0, 0, 0, 0, 1, 2, 3], list(range(8))]


def test_entities_of_a_text_that_is_cut_on_the_left() -> None:
    labels = ["O", "B-PER", "B-LOC"]
    scores = np.zeros((len(VOCABULARY), 3), np.float32)
    scores[:, 0] = 4
    scores[VOCABULARY["anna"], 1] = scores[VOCABULARY["bob"], 1] = scores[VOCABULARY["paris"], 2] = 9
    model = loaded(
        _with_table(scores), files=files(cut=6, length=12), task="token-classification", preprocess=OWN, labels=labels
    )
    text = "Anna went to Paris with Bob"
    for answer in (ask(model, {"input": text}), ask(model, {"inputs": ["Anna", text]})["results"][1]):
        assert [(one["entity"], text[one["start"] : one["end"]]) for one in answer["entities"]] == [
            ("LOC", "Paris"),
            ("PER", "Bob"),
        ]


def test_padding_that_a_package_does_not_say_is_not_stored() -> None:
    """The last release reads it, as "longest"; a manifest of its has that in it, and keeps it."""
    stored = manifest.encode(Manifest(name="m", task="embedding", preprocess=OWN))
    assert b"padding" not in stored
    assert manifest.decode(stored).preprocess == OWN
    before = msgspec.json.decode(stored)
    before["preprocess"]["padding"] = "longest"
    kept = manifest.decode(msgspec.json.encode(before)).preprocess
    assert isinstance(kept, processing.Text) and kept.padding == "longest"
    assert texts.cutting(kept, None).whole is False and texts.cutting(OWN, None).whole is None
