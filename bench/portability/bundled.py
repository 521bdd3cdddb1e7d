"""Whole models: those that are bundled, and those of the zoo that are there, with the inputs of their golden sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import ModelProto

from tests.portability.corpus.exporters import written
from tests.portability.corpus.graphs import Case
from tools.processors import ROOT

MODELS, ZOO = ROOT / "layers" / "models", ROOT / ".local" / "zoo"
ROWS = 4
# Of many layers: a tie of one layer's rounding moves the next layers' values by parts of a step.
NOISE = 2e-2
# two English sentences in BERT's vocabulary, the first padded by one
SENTENCES = (
    (101, 1996, 4248, 2829, 4419, 14523, 2058, 1996, 13971, 3899, 102, 0),
    (101, 2023, 2003, 1037, 7099, 6251, 2008, 1037, 3231, 2003, 2517, 102),
)


def bundled(folder: Path = MODELS) -> Iterator[Case]:
    """Each package's model, on the first rows of its golden set."""
    for path in sorted(folder.glob("*/model.onnx")):
        with np.load(path.parent / "golden.npz") as arrays:
            feeds = {name.removeprefix("input."): arrays[name][:ROWS] for name in arrays if name.startswith("input.")}
        yield Case(f"bundled {path.parent.name}", path.read_bytes(), feeds, noise=NOISE)


def zoo(folder: Path = ZOO) -> Iterator[Case]:
    """MiniLM as it is and quantized by quantize_dynamic, when `make .local/zoo/minilm/model.onnx` was run."""
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    path = folder / "minilm" / "model.onnx"
    if not path.exists():
        return
    ids = np.array(SENTENCES, np.int64)
    tokens = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64), "token_type_ids": np.zeros_like(ids)}
    model = onnx.load(path)
    feeds = {entry.name: tokens[entry.name] for entry in model.graph.input}
    yield Case("zoo minilm", path.read_bytes(), feeds, noise=1e-4)

    def quantize(parent: ModelProto, target: str) -> None:
        quantize_dynamic(parent, target)

    yield Case("zoo minilm, quantize_dynamic", written(quantize, model), feeds, parent=path.read_bytes())
