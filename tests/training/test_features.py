"""What training says of its items in the reference is what serving counts of the same items when they are sent."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from shared.counts import bins
from shared.package import processing
from shared.package.manifest import Manifest, Tensor
from shared.registry.state import Version
from shared.serving import counting
from shared.serving.inputs import images
from shared.serving.loaded import Loaded
from shared.serving.observe import Call
from training.kinds.images import Images
from training.kinds.tables import Tables
from training.report.card import _histogram


def served(kind: str, preprocess: dict[str, Any], reference: dict[str, Any], tensor: Tensor) -> Loaded:
    digest = "0" * 64
    version = Version(version=1, task=kind, manifest=digest, source=digest, model=digest, size=1, upload="u")
    plan: Any = {"image-classification": processing.Image, "tabular": processing.Table}[kind]
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
