"""Real items with what serving would count of them, as they are and changed: images, texts, rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from bench.drift.streams import Pool, described
from bench.machine import ROOT
from shared.package import manifest as manifests
from shared.package.manifest import Manifest
from shared.serving import features, scripts
from training.data.named import fashion_mnist

SERVED = ROOT / "layers" / "models"
CACHE = Path.home() / ".cache" / "amaas"
SAMPLE = 6000


def _package(name: str) -> tuple[Manifest, onnxruntime.InferenceSession]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    folder = SERVED / name
    return (
        manifests.decode((folder / "amaas.json").read_bytes()),
        onnxruntime.InferenceSession(folder / "model.onnx", options),
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def images(random: np.random.Generator) -> tuple[Manifest, dict[str, Pool]]:
    manifest, pools, _ = labeled_images(random)
    return manifest, pools


def labeled_images(random: np.random.Generator) -> tuple[Manifest, dict[str, Pool], dict[str, np.ndarray]]:
    """Fashion-MNIST's test split, answered by the model that ships. The reference of its inputs is of as many training
    images as there are for validation, with the features that packages have today; that of its answers is its own.
    """
    manifest, session = _package("fashion-mnist")
    splits = fashion_mnist.load(CACHE / "fashion-mnist")
    known = splits["train"][0][random.permutation(60_000)[:SAMPLE]]
    reference = dict(manifest.reference or {}) | {
        "features": {name: described(values) for name, values in features.of_pixels(known).items()}
    }
    test, labels = splits["test"]
    plan = manifest.preprocess

    def pool(pixels: np.ndarray) -> Pool:
        tensor = ((pixels.astype(np.float32) / 255 - plan.mean[0]) / plan.std[0]).transpose(0, 3, 1, 2)  # type: ignore[union-attr]
        scores = np.concatenate(
            [_softmax(session.run(None, {"image": part})[0]) for part in np.array_split(tensor, len(tensor) // 200)]
        )
        return Pool(features.of_pixels(pixels), scores.max(1), scores.argmax(1), manifest.labels).fit(reference)

    changes = {"nothing": (test, labels), **{name: rest for name, *rest in _changed_images(test, labels, random)}}
    pools = {name: pool(pixels) for name, (pixels, _) in changes.items()}
    return with_reference(manifest, reference), pools, {name: truth for name, (_, truth) in changes.items()}


def _changed_images(
    test: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for deviation in (10, 30):
        noisy = test + random.normal(0, deviation, test.shape)
        yield f"noise, deviation {deviation} of 255", np.clip(np.rint(noisy), 0, 255).astype(np.uint8), labels
    for angle in (15, 90):
        turned = [np.asarray(Image.fromarray(one[..., 0]).rotate(angle, Image.Resampling.BILINEAR)) for one in test]
        yield f"rotation by {angle}°", np.stack(turned)[..., None], labels
    others, half = labels != 1, (labels != 1) | (random.random(len(labels)) < 0.5)
    yield "a missing class (Trouser)", test[others], labels[others]
    yield "half of a class is missing (Trouser)", test[half], labels[half]


def texts(random: np.random.Generator) -> tuple[Manifest, dict[str, Pool]]:
    """Sentences in ten languages: half of them make the reference, the others are the traffic. Inputs only."""
    lines = (CACHE / "fortunes" / "sentences.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    sentences = np.array([next(value for key, value in row.items() if key == "text") for row in rows], object)
    languages = np.array([next(value for key, value in row.items() if key != "text") for row in rows])
    half = random.permutation(len(sentences)) < len(sentences) // 2

    def values(of: np.ndarray) -> dict[str, np.ndarray]:
        named = [scripts.SCRIPTS.index(name) for name in features.of_scripts(list(of))["script"] if name]
        return {**features.of_texts(list(of)), "script": np.array(named)}

    counts = Counter(values(sentences[half])["script"].tolist())
    reference = {
        "features": {
            "characters": described(values(sentences[half])["characters"]),
            "script": {"names": scripts.SCRIPTS, "counts": [counts[number] for number in range(len(scripts.SCRIPTS))]},
        }
    }
    rest, spoken = sentences[~half], languages[~half]
    common = Counter(spoken.tolist()).most_common(1)[0][0]
    changed = {
        "nothing": rest,
        "cut to 40 characters": np.array([text[:40] for text in rest], object),
        "two sentences in one": np.array(
            [f"{one} {other}" for one, other in zip(rest, rest[::-1], strict=True)], object
        ),
        f"all of one language ({common})": rest[spoken == common],
        "no Cyrillic": np.array([text for text in rest if scripts.script(text) != "Cyrillic"], object),
    }
    pools = {name: Pool(values(of)).fit(reference) for name, of in changed.items()}
    return Manifest(task="text-classification", reference=reference), pools


def rows(random: np.random.Generator) -> tuple[Manifest, dict[str, Pool]]:
    """scikit-learn's breast cancer data, ten columns: half of the rows make the reference, the others the traffic."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names[:10]]
    half = random.permutation(len(data.data)) < len(data.data) // 2
    known, traffic = data.data[half, :10], data.data[~half, :10]
    reference = {"features": {name: described(known[:, k]) for k, name in enumerate(names)}}

    def pool(values: np.ndarray) -> Pool:
        return Pool({name: values[:, k] for k, name in enumerate(names)}).fit(reference)

    gaps, shifted, other_unit = traffic.copy(), traffic.copy(), traffic.copy()
    gaps[random.random(len(gaps)) < 0.1, 0] = np.nan
    shifted[:, 1] += 0.5 * traffic[:, 1].std()
    other_unit[:, 3] /= 645.16
    pools = {
        "nothing": pool(traffic),
        "a tenth of one column is absent": pool(gaps),
        "one column is half a deviation higher": pool(shifted),
        "one column in another unit": pool(other_unit),
    }
    return Manifest(task="tabular", reference=reference), pools


def with_reference(manifest: Manifest, reference: dict[str, object]) -> Manifest:
    from msgspec.structs import replace

    return replace(manifest, reference=reference)
