"""What training says of its items in the reference is what serving counts of the same items when they are sent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from shared.counts import bins
from shared.package import processing
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Table
from shared.registry.state import Version
from shared.serving import counting
from shared.serving.inputs import images
from shared.serving.loaded import Loaded
from shared.serving.observe import Call
from tests.training.test_kinds import chosen
from training.data import images as training_images
from training.data.source import Options
from training.kinds.images import Images
from training.kinds.tables import Tables
from training.kinds.texts import Texts
from training.report.reference import _frequencies, _histogram


def served(kind: str, preprocess: dict[str, Any], reference: dict[str, Any], tensor: Tensor) -> Loaded:
    digest = "0" * 64
    version = Version(version=1, task=kind, manifest=digest, source=digest, model=digest, size=1, upload="u")
    plan: Any = {
        "image-classification": processing.Image,
        "tabular": Table,
        "text-classification": processing.Text,
    }[kind]
    manifest = Manifest(
        task=kind, inputs=[tensor], preprocess=msgspec.convert(preprocess, plan), reference={"features": reference}
    )
    return Loaded("m", version, 1, manifest, None, items=[])  # type: ignore[arg-type]


def histograms(features: dict[str, np.ndarray]) -> dict[str, dict[str, list[Any]]]:
    return {name: _histogram(values) for name, values in features.items()}


def expected(features: dict[str, np.ndarray], reference: dict[str, Any]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {name: {} for name in features}
    for name, values in features.items():
        for value in values.tolist():
            number = bins.place(value, reference[name]["edges"])
            found[name][number] = found[name].get(number, 0) + 1
    return found


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images(mode: str) -> None:
    channels = 1 if mode == "L" else 3
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, channels), np.uint8)
    preprocess = {"mode": mode, "size": [8, 8], "mean": [0.3] * channels, "std": [0.25] * channels}
    features = Images(preprocess).features(pixels)
    reference = histograms(features)
    loaded = served("image-classification", preprocess, reference, Tensor("image", "FP32", [-1, channels, 8, 8]))
    files = []
    for one in pixels:
        file = io.BytesIO()
        Image.fromarray(one[..., 0] if mode == "L" else one).save(file, "PNG")
        files.append(file.getvalue())
    feeds, _ = images.feeds(loaded, files)
    counts = counting.of_call(Call(loaded=loaded, route="predict", inputs=feeds, answer={}))
    assert counts.features == expected(features, reference)
    assert set(features) == {"brightness", "contrast", "sharpness", "upright"} | (
        {"saturation"} if channels == 3 else set()
    )
    assert sum(counts.features["brightness"].values()) == counts.items == 20


def test_tables() -> None:
    columns = [{"name": "age", "missing": 0.0}, {"name": "height", "missing": 0.0}]
    rows = [{"age": float(n), "height": None if n % 3 else n / 7} for n in range(20)]
    features = Tables({"columns": columns}, {}).features(np.array(rows))
    reference = histograms(features)
    loaded = served("tabular", {"columns": columns}, reference, Tensor("features", "FP32", [-1, 2]))
    loaded.note([{name: "" if value is None else str(value) for name, value in row.items()} for row in rows])
    counts = counting.of_call(Call(loaded=loaded, route="predict", answer={}))
    assert counts.features == expected(features, reference)
    assert counts.features["height"][-1] == 13


def test_categories_of_tables() -> None:
    columns = [{"name": "city", "type": "category", "categories": ["Bonn", "Ulm"], "unknown": -1, "missing": ""}]
    cities = ["Ulm", "Ulm", "Bonn", "Köln", None]
    names, values = Tables({"columns": columns}, {}).categories(np.array([{"city": city} for city in cities]))["city"]
    reference = {"city": _frequencies(names, values)}
    assert reference["city"] == {"names": ["Bonn", "Ulm"], "counts": [1, 2], "other": 1, "absent": 1}
    loaded = served("tabular", {"columns": columns}, reference, Tensor("features", "FP32", [-1, 2]))
    loaded.note([{"city": city or ""} for city in cities])
    counts = counting.of_call(Call(loaded=loaded, route="predict", answer={}))
    assert counts.features == {"city": {0: 1, 1: 2, 2: 1, -1: 1}}


def test_sizes_of_images_before_they_are_resized(tmp_path: Path) -> None:
    sizes = [(8, 8), (16, 8), (8, 32), (9, 9)]
    for number, (width, height) in enumerate(sizes):
        file = tmp_path / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("L", (width, height)).save(file)
    source = training_images.from_folder(tmp_path, Options(size=(8, 8)), [])
    kind = Images.fit(source.splits["train"][0], source.details, chosen().preparation)
    features = kind.file_features(source.details)
    assert sorted(features["side"].tolist()) == [8.0, 9.0, 128**0.5, 16.0]
    assert sorted(features["width_share"].tolist()) == [0.2, 0.5, 0.5, 2 / 3]
    reference = histograms(features)
    loaded = served("image-classification", kind.preprocess, reference, Tensor("image", "FP32", [-1, 1, 8, 8]))
    feeds, _ = images.feeds(loaded, [file.read_bytes() for file in tmp_path.rglob("*.png")])
    counts = counting.of_call(Call(loaded=loaded, route="predict", inputs=feeds, answer={}))
    assert counts.features == expected(features, reference)


def test_images_that_were_brought_to_one_size_say_nothing_of_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "1.png")
    source = training_images.from_folder(tmp_path, Options(), [])
    assert Images.fit(source.splits["train"][0], source.details, chosen().preparation).file_features({}) == {}
    assert source.details == {}


def test_texts() -> None:
    values = np.array(["one two three", "two three four", "three xyz", "шесть"] * 9, object)
    kind = Texts.fit(values[:2], {}, chosen().preparation)
    features, (names, scripts) = kind.features(values), kind.categories(values)["script"]
    reference: dict[str, Any] = histograms(features)
    reference["unknown_tokens"] |= kind.feature_details()["unknown_tokens"]
    reference["script"] = _frequencies(names, scripts)
    assert (reference["script"]["counts"][names.index("Cyrillic")], reference["script"]["other"]) == (9, 0)
    assert features["unknown_tokens"][3] > features["unknown_tokens"][0] == 0
    tensor = Tensor("input_ids", "INT64", [-1, -1])
    loaded = served("text-classification", kind.preprocess, reference, tensor)
    sent = values[:30]
    loaded.note(sent.tolist())
    feeds = {name: part.numpy() for name, part in kind.inputs(kind.encode(sent), slice(None)).items()}
    counts = counting.of_call(Call(loaded=loaded, route="predict", inputs=feeds, answer={}))
    plain = kind.features(sent)
    assert {name: counts.features[name] for name in plain} == expected(plain, reference)
    assert counts.features["script"][names.index("Latin")] == 23
