"""Features of inputs: serving counts of a call what training's kinds compute of the same items."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from shared.counts import bins
from shared.counts.counts import Counts
from shared.package import processing
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Column, Table
from shared.serving import counting, features, scripts, tasks
from shared.serving.inputs import images
from shared.serving.loaded import Loaded
from shared.serving.observe import Call, TimedSession
from tests.serving import packages
from tests.support import linear, tiny_classifier

RANDOM = np.random.default_rng(1)
EDGES = [0.0, 0.2, 0.4, 0.5, 0.6, 1.0]


def reference(**edges: list[float]) -> dict[str, Any]:
    return {"features": {name: {"edges": of, "counts": [1] * (len(of) - 1)} for name, of in edges.items()}}


def counted(loaded: Loaded, route: str = "predict", **call: Any) -> Counts:
    return counting.of_call(Call(loaded=loaded, route=route, answer={}, **call))


def binned(values: np.ndarray, edges: list[float]) -> dict[int, int]:
    found: dict[int, int] = {}
    for value in values.tolist():
        number = bins.place(value, edges)
        found[number] = found.get(number, 0) + 1
    return found


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_of_images_the_pixels_follow_from_the_tensor(layout: str, mode: str) -> None:
    channels = 1 if mode == "L" else 3
    pixels = RANDOM.integers(0, 256, (9, 6, 5, channels), np.uint8)
    plan = processing.Image(
        mode=mode,
        size=[6, 5],
        layout=layout,
        mean=[0.4914, 0.48, 0.4465][:channels],
        std=[0.2, 0.1994, 0.201][:channels],
    )
    shape = [-1, channels, 6, 5] if layout == "NCHW" else [-1, 6, 5, channels]
    manifest = Manifest(
        task="image-classification",
        inputs=[Tensor("image", "FP32", shape)],
        preprocess=plan,
        reference=reference(brightness=EDGES, contrast=EDGES),
    )
    loaded = replace(packages.loaded(tiny_classifier()), manifest=manifest, parts={})
    from PIL import Image

    tensor = np.stack(
        [images.numbers(Image.fromarray(one[..., 0] if mode == "L" else one, mode), plan, "FP32") for one in pixels]
    )
    counts = counted(loaded, inputs={"image": tensor})
    expected = features.of_pixels(pixels)
    assert counts.items == 9
    for name in ("brightness", "contrast"):
        assert counts.features[name] == binned(expected[name], EDGES)


def test_of_a_tensor_that_a_caller_made_up_nothing_breaks() -> None:
    manifest = Manifest(
        task="image-classification",
        inputs=[Tensor("image", "FP32", [-1, 1, 2, 2])],
        preprocess=processing.Image(mode="L"),
        reference=reference(brightness=EDGES),
    )
    loaded = replace(packages.loaded(tiny_classifier()), manifest=manifest, parts={})
    odd = np.array([np.nan, np.inf, -np.inf, 1e30], np.float32).reshape(4, 1, 1, 1) * np.ones((1, 1, 2, 2), np.float32)
    counts = counted(loaded, route="infer", inputs={"image": odd})
    assert counts.features["brightness"] == {-1: 1, 6: 2, 0: 1}
    assert counted(loaded, inputs={"image": odd[0]}).features == {}
    assert counted(loaded, inputs={"a": odd, "b": odd}).features == {}
    assert counted(loaded, inputs={"image": odd[:0]}).features == {}
    large = np.zeros((3, 1, 1500, 1000), np.float32)
    assert counted(loaded, inputs={"image": large}).items == 1
    assert counted(loaded, inputs={"image": large.reshape(1, 1, 4500, 1000)}).items == 0
    assert counted(loaded, route="explain", inputs={"image": odd}).features == {}


def test_of_images_rotation_noise_and_color_are_seen() -> None:
    stripes = np.zeros((1, 8, 8, 1), np.uint8)
    stripes[:, ::2] = 255
    lying, standing = features.of_pixels(stripes), features.of_pixels(stripes.transpose(0, 2, 1, 3))
    assert (lying["upright"][0], standing["upright"][0]) == (1.0, 0.0)
    assert lying["sharpness"][0] == standing["sharpness"][0] == 0.5
    flat = features.of_pixels(np.full((2, 8, 8, 3), 9, np.uint8))
    assert (flat["sharpness"].tolist(), flat["upright"].tolist()) == ([0, 0], [0.5, 0.5])
    assert flat["saturation"].tolist() == [0, 0]
    red = features.of_pixels(np.broadcast_to(np.array([255, 0, 0], np.uint8), (1, 8, 8, 3)))
    assert red["saturation"][0] == 1
    assert features.of_pixels(np.zeros((1, 1, 1, 1), np.uint8))["sharpness"][0] == 0


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Grüße, Šárka!", "Latin"),
        ("Привет, world", "Cyrillic"),
        ("καλημέρα", "Greek"),
        ("שלום", "Hebrew"),
        ("مرحبا", "Arabic"),
        ("नमस्ते", "Devanagari"),
        ("안녕하세요", "Korean"),
        ("こんにちは 世界", "Chinese or Japanese"),
        ("สวัสดี", "other scripts"),
        ("12.5 % … 🙂", "no letters"),
        ("", "no letters"),
        ("\ud800a", "Latin"),
    ],
)
def test_the_script_of_a_text(text: str, script: str) -> None:
    assert scripts.script(text) == script


def test_categories_of_tables_are_counted_by_their_number() -> None:
    loaded = table()
    named = {"city": {"names": ["Ulm", "1"], "counts": [1, 1]}, "bad": {"names": [1]}, "worse": {"names": []}}
    reference = {"features": {**loaded.manifest.reference["features"], **named}}
    loaded = replace(loaded, manifest=replace(loaded.manifest, reference=reference), parts={})
    loaded.note([{"city": "Ulm"}, {"city": 1}, {"city": "Bonn"}, {"city": ""}, {"age": 20}])
    counts = counted(loaded)
    assert counts.features["city"] == {0: 1, 1: 1, 2: 1, -1: 2}
    assert set(counts.features) == {"age", "height", "city"}


@pytest.mark.parametrize(
    ("categories", "stored"),
    [
        ([2, 3], ["2", "3"]),
        ([2, 3], ["2.0", "3.0"]),
        ([2.0, 3.0], ["2", "3"]),
        ([2.0, 3.0], ["2.0", "3.0"]),
        (["2", "3"], ["2", "3"]),
    ],
)
def test_a_category_has_one_name_however_a_row_spells_it(categories: list[Any], stored: list[str]) -> None:
    """stored: as references have it, those of packages of before and by other hands, too."""
    column = Column(name="stars", type="category", categories=categories, missing=2, unknown=-1)
    plan = Table(columns=[column, Column(name="n", missing=0)], gaps=["NA"])
    manifest = Manifest(
        task="tabular", preprocess=plan, reference={"features": {"stars": {"names": stored}, "n": {"edges": [0.0, 10]}}}
    )
    loaded = replace(packages.loaded(linear([[1.0]])), manifest=manifest, parts={})
    rows = [2, 2.0, "2", 3, "3", "NA", None, "", "other", "2,5"]
    seen = replace(loaded, items=[{"stars": value, "n": value} for value in rows])
    assert counted(seen).features["stars"] == {0: 3, 1: 2, -1: 3, 2: 2}
    assert counted(seen).features["n"] == {1: 5, -1: 5}, "a number is what the model is fed"
    texts = replace(loaded, items=[{"stars": value, "n": value} for value in (True, "1_0", "inf")])
    assert counted(texts).features["n"] == {1: 1, -1: 2}


def table() -> Loaded:
    columns = [{"name": "age", "mean": 3.0, "std": 2.0, "missing": 1.0}, {"name": "height", "missing": 0.0}]
    plan = msgspec.convert({"columns": columns}, Table)
    loaded = packages.loaded(linear([[1.0], [2.0]]))
    manifest = Manifest(
        task="tabular",
        inputs=[Tensor("x", "FP32", [-1, 2])],
        outputs=[Tensor("y", "FP32", [-1, 1])],
        labels=["tall"],
        preprocess=plan,
        reference=reference(age=[0.0, 18.0, 65.0], height=[0.0, 1.0, 2.0]),
    )
    return replace(loaded, manifest=manifest, parts={}, items=[])


def test_of_tables_the_rows_of_the_call_are_seen() -> None:
    """Absent values as absent, not as what the model is given in their place."""
    loaded = table()
    seen = replace(loaded, session=TimedSession(loaded.session))
    tasks.predict(seen, b"age,height\n17,1.5\n80,\n18,1\n", "text/csv", {})
    counts = counted(seen)
    assert counts.items == 3
    assert counts.features == {"age": {1: 1, 3: 1, 2: 1}, "height": {2: 2, -1: 1}}
    rows = [{"age": 17.0, "height": 1.5}, {"age": 80, "height": None}, {"age": 18, "height": 1}]
    computed = features.of_rows(rows, ["age", "height"])
    assert {
        name: binned(values, seen.parts[features.PARSED][name]) for name, values in computed.items()
    } == counts.features


def test_booleans_are_the_numbers_that_the_model_is_fed() -> None:
    rows = [{"a": value} for value in (True, "True", "false", 1, "1", "no", None)]
    assert np.array_equal(features.of_rows(rows, ["a"])["a"], [1, 1, 0, 1, 1, np.nan, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("17,1.5\n18,1\n", (1, 0)),
        ("17,1.5\n900,1\n901,1\n", (1, 1)),  # two items of one call
        ("-1,1\n", (1, 1)),
        ("17,\n", (1, 0)),  # absent is not outside
    ],
)
def test_a_call_is_out_of_range_where_an_item_is(rows: str, expected: tuple[int, int]) -> None:
    seen = table()
    seen = replace(seen, session=TimedSession(seen.session))
    tasks.predict(seen, f"age,height\n{rows}".encode(), "text/csv", {})
    counts = counted(seen)
    assert (counts.placed, counts.out_of_range) == expected
    assert (counted(seen, route="explain").placed, counted(packages.loaded(linear([[1.0]]))).placed) == (0, 0)


def test_of_texts_and_sounds_their_items_are_seen() -> None:
    loaded = replace(packages.loaded(tiny_classifier()), parts={}, items=["four", "a" * 30])
    text = Manifest(
        task="text-classification", preprocess=processing.Text(), reference=reference(characters=[1.0, 5, 9])
    )
    assert counted(replace(loaded, manifest=text)).features == {"characters": {1: 1, 3: 1}}
    sound = Manifest(
        task="audio-classification",
        preprocess=processing.Audio(sample_rate=100),
        reference=reference(loudness_db=[-100.0, -50, 0], seconds=[0.0, 1, 2]),
    )
    samples = [np.zeros(150, np.float32), np.full(50, 0.5, np.float32)]
    counts = counted(replace(loaded, manifest=sound, items=samples, parts={}))
    assert counts.features == {"loudness_db": {1: 1, 2: 1}, "seconds": {2: 1, 1: 1}}


def test_a_call_of_many_items_is_counted_by_some_of_them() -> None:
    loaded = replace(table(), items=[{"age": 1}] * 1000)
    assert counted(loaded).items == features.MOST_ITEMS


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"features": []},
        {"features": {"age": None}},
        {"features": {"age": {"edges": [1]}}},
        {"features": {"age": {"edges": ["0", 1]}}},
        {"features": {"age": {"edges": [2, 1]}}},
        {"features": {"age": {"edges": [0, math.inf]}}},
        {"features": {"age": {"edges": list(range(1000))}}},
    ],
)
def test_a_reference_that_cannot_be_used_counts_nothing(said: dict[str, Any] | None) -> None:
    loaded = table()
    loaded = replace(loaded, manifest=replace(loaded.manifest, reference=said), items=[{"age": 1}])
    assert (counted(loaded).features, counted(loaded).items) == ({}, 0)
