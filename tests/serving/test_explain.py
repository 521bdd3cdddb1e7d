"""Explanations: known reasons are found, the same each time, and on real images they are faithful to the model."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from onnx import TensorProto, helper
from PIL import Image

from shared.errors import BadInput, NotImplemented_
from shared.package import manifest, processing
from shared.package.table import Column, Table
from shared.serving.content import json_reply
from shared.serving.explain import Options, class_index
from shared.serving.explain import images as on_images
from shared.serving.explain import texts as on_texts
from shared.serving.inputs import images
from shared.serving.tasks import explain
from tests.serving import packages
from tests.serving.test_sounds import RATE, encoded, loud_or_quiet
from tests.support import linear

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "layers" / "models" / "fashion-mnist"
PICTURES = sorted((ROOT / "examples" / "images").glob("*.png"))
FILES = {"tokenizer.json": packages.tokenizer().to_str().encode()}


@pytest.fixture(scope="module")
def fashion() -> packages.Loaded:
    described = manifest.decode((BUNDLED / "amaas.json").read_bytes())
    return packages.loaded(
        (BUNDLED / "model.onnx").read_bytes(),
        task=described.task,
        labels=described.labels,
        preprocess=described.preprocess,
        postprocess=described.postprocess,
    )


def fall(model: packages.Loaded, picture: bytes, index: int, removed: np.ndarray) -> float:
    """How much the score of a class falls when the cells of a mask [CELLS, CELLS] are covered."""
    plan = images.signature(model)[1]
    pixels = np.asarray(images.decode(picture, plan.mode))
    side = pixels.shape[0] // on_images.CELLS
    where = np.kron(removed, np.ones((side, side), bool))
    covered = np.where(where, pixels.mean().astype(np.uint8), pixels)
    before, after = on_images._scores(model, [pixels, covered])
    return float(before[index] - after[index])


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_taking_away_what_counts_most_lowers_the_score_more_than_chance(fashion: packages.Loaded, method: str) -> None:
    random = np.random.default_rng(0)
    ours, chance, against = [], [], []
    for path in PICTURES:
        picture = path.read_bytes()
        explanation = explain(fashion, picture, "image/png", {"method": method})
        assert isinstance(explanation, dict)
        heat, index = np.array(explanation["attributions"]), fashion.manifest.labels.index(explanation["label"])
        order = np.argsort(-heat.reshape(-1))
        ours.append(fall(fashion, picture, index, _mask(order[:20])))
        against.append(fall(fashion, picture, index, _mask(order[-20:])))
        chance += [fall(fashion, picture, index, _mask(random.permutation(len(order))[:20])) for _ in range(10)]
    # a third of the picture covered anywhere costs so small a model a good part of its score
    assert np.mean(ours) > 1.7 * np.mean(chance), (np.mean(ours), np.mean(chance))
    assert np.mean(against) < np.mean(chance)


def _mask(cells: np.ndarray) -> np.ndarray:
    mask = np.zeros(on_images.CELLS**2, bool)
    mask[cells] = True
    return mask.reshape(on_images.CELLS, on_images.CELLS)


def test_the_same_seed_gives_the_same_answer(fashion: packages.Loaded) -> None:
    ask = [
        explain(fashion, PICTURES[0].read_bytes(), "", {"method": "rise", "samples": "40", "seed": s}) for s in "112"
    ]
    assert ask[0] == ask[1] != ask[2]


def test_a_picture_of_the_reasons(fashion: packages.Loaded) -> None:
    raw = explain(fashion, PICTURES[0].read_bytes(), "image/png", {"format": "png"})
    assert isinstance(raw, bytes)
    picture = Image.open(io.BytesIO(raw))
    assert (picture.size, picture.mode) == ((252, 252), "RGB")
    pixels = np.asarray(picture).astype(int)
    assert (pixels[..., 0] > pixels[..., 2] + 20).any()


def test_only_the_part_that_the_model_looks_at_counts() -> None:
    """A model that sees one corner: of a wide image, cropped in the middle, and asked for in the original's pixels."""
    weight = np.zeros((28, 28), np.float32)
    weight[:4, :4] = 1
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 2])]
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["score"]),
    ]
    both = np.stack([weight.reshape(-1), np.zeros(784, np.float32)], axis=1)
    model = packages.loaded(
        packages.proto(nodes, inputs, outputs, {"w": both}),
        task="image-classification",
        preprocess=processing.Image(mode="L", resize="crop"),
        postprocess=processing.Scores(activation="none"),
    )
    pixels = np.zeros((28, 56), np.uint8)
    pixels[:4, 14:18] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    explanation = explain(model, buffer.getvalue(), "image/png", {"label": "0"})
    assert isinstance(explanation, dict)
    heat = np.array(explanation["attributions"])
    assert heat[:2, :2].min() > 0
    assert heat[5:].max() == heat[:, 5:].max() == 0
    assert (explanation["image"], explanation["seen"]) == ([28, 56], [14.0, 0.0, 42.0, 28.0])


def test_class_maps_of_the_package() -> None:
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 4, 4])]
    outputs = [
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", 2, 4, 4]),
    ]
    nodes = [
        helper.make_node("Neg", ["image"], ["other"]),
        helper.make_node("Concat", ["image", "other"], ["maps"], axis=1),
        helper.make_node("ReduceMean", ["maps"], ["score"], axes=[2, 3], keepdims=0),
    ]
    model = packages.loaded(
        packages.proto(nodes, inputs, outputs, {}),
        task="image-classification",
        preprocess=processing.Image(mode="L"),
        postprocess=processing.Scores(output="score", maps="maps"),
    )
    pixels = np.arange(0, 160, 10, dtype=np.uint8).reshape(4, 4)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    explanation = explain(model, buffer.getvalue(), "image/png", {})
    assert isinstance(explanation, dict)
    assert explanation["method"] == "cam"
    assert np.array(explanation["attributions"]) == pytest.approx(pixels / 255, abs=1e-6)


def test_words_that_count() -> None:
    table = np.zeros((len(packages.VOCABULARY), 2), np.float32)
    table[packages.VOCABULARY["cat"]] = [0, 3]
    table[packages.VOCABULARY["bob"]] = [1, 0]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "T"])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 2])]
    nodes = [
        helper.make_node("Gather", ["t", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "one"], ["score"], keepdims=0),
    ]
    constants = {"t": table, "one": np.array([1], np.int64)}
    model = packages.loaded(
        packages.proto(nodes, inputs, outputs, constants),
        files=FILES,
        task="text-classification",
        labels=["person", "animal"],
        preprocess=processing.Text(tokenizer="tokenizer.json"),
        postprocess=processing.Scores(activation="none"),
    )
    text = "Bob, the cat went to Paris"
    explanation = explain(model, text.encode(), "text/plain", {})
    assert isinstance(explanation, dict)
    shares = {part["text"]: part["attribution"] for part in explanation["attributions"]}
    assert (explanation["label"], shares["cat"], shares["Bob"], shares["Paris"]) == ("animal", 3.0, 0.0, 0.0)
    assert all(text[part["start"] : part["end"]] == part["text"] for part in explanation["attributions"])
    long = on_texts.spans("word " * 1000)
    assert len(long) <= on_texts.MOST
    assert (long[0][0], long[-1][1]) == (0, 4999)
    for body in (b"", b" "):
        with pytest.raises(BadInput, match="no words"):
            explain(model, body, "text/plain", {})
    with pytest.raises(BadInput, match="pairs"):
        explain(model, b'{"input": {"text": "a", "pair": "b"}}', "application/json", {})


def rows_model(reference: bytes | None = b"a,b,c\n1,2,3\n") -> packages.Loaded:
    plan = Table(columns=[Column(name=n) for n in "abc"], reference="reference.csv" if reference is not None else None)
    files = {"reference.csv": reference} if reference is not None else {}
    return packages.loaded(linear([[1.0], [-2.0], [0.5]]), files=files, task="tabular", preprocess=plan)


def test_columns_of_a_linear_model_have_the_shares_that_arithmetic_gives() -> None:
    explanation = explain(rows_model(), b'{"input": {"a": 5, "b": 5, "c": 5}}', "application/json", {})
    assert isinstance(explanation, dict)
    shares = [part["attribution"] for part in explanation["attributions"]]
    assert shares == pytest.approx([1 * (5 - 1), -2 * (5 - 2), 0.5 * (5 - 3)], abs=1e-5)
    assert explanation["base"] == pytest.approx(1 - 4 + 1.5)
    assert sum(shares) + explanation["base"] == pytest.approx(explanation["score"], abs=1e-5)


def test_shares_add_up_with_many_reference_rows() -> None:
    random = np.random.default_rng(0)
    reference = "a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in random.normal(size=(50, 3)))
    model = rows_model(reference.encode())
    answers = [explain(model, b"a,b,c\n1,2,3\n", "text/csv", {"samples": "16", "seed": seed}) for seed in "778"]
    assert answers[0] == answers[1] != answers[2]
    for explanation in answers:
        assert isinstance(explanation, dict)
        shares = sum(part["attribution"] for part in explanation["attributions"])
        assert shares + explanation["base"] == pytest.approx(explanation["score"], abs=1e-4)


def test_the_stretch_of_a_sound_that_counts() -> None:
    sound = np.zeros(RATE, np.float32)
    sound[4000:4800] = 0.9
    explanation = explain(loud_or_quiet(RATE), encoded(sound), "audio/wav", {"label": "loud"})
    assert orjson.loads(json_reply(explanation, None).body) == explanation, "as it is sent"
    assert isinstance(explanation, dict)
    best = max(explanation["attributions"], key=lambda part: part["attribution"])
    assert (best["start"], best["end"]) == (0.25, 0.3)
    assert sum(part["attribution"] > 0 for part in explanation["attributions"]) == 1


def test_what_cannot_be_explained(fashion: packages.Loaded) -> None:
    picture = PICTURES[0].read_bytes()
    for query, why in (
        ({"label": "Sofa"}, "no class 'Sofa'"),
        ({"label": "10"}, "no class"),
        ({"method": "magic"}, "options"),
        ({"samples": "1"}, "options"),
        ({"method": "cam"}, "no class maps"),
    ):
        with pytest.raises(BadInput, match=why):
            explain(fashion, picture, "image/png", query)
    with pytest.raises(BadInput, match="one input is explained at a time, the body has 2"):
        explain(fashion, json.dumps({"inputs": ["aGk=", "aGk="]}).encode(), "application/json", {})
    with pytest.raises(BadInput, match="no reference rows"):
        explain(rows_model(None), b'{"input": [1, 2, 3]}', "application/json", {})
    with pytest.raises(BadInput, match="one input is explained at a time, the body has 2"):
        explain(rows_model(), b'{"inputs": [[1, 2, 3], [1, 2, 3]]}', "application/json", {})
    with pytest.raises(NotImplemented_, match="no method to explain 'tensor'"):
        explain(packages.loaded(linear([[1.0]])), b"{}", "application/json", {})


@pytest.mark.parametrize("label", ["3", "10", "0000000009", "00000000000", "-1", "²"])
def test_a_class_that_the_model_lacks_is_refused_however_it_is_written(label: str) -> None:
    with pytest.raises(BadInput, match="has no class"):
        class_index(packages.loaded(linear([[1.0, 2.0, 3.0]])), np.zeros(3), Options(label=label))
