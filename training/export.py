"""From a trained network to a package: model.onnx, amaas.json with the model card, golden.npz, a kind's own files."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from training.data.dataset import Dataset
from training.data.split import spread
from training.errors import TrainingError
from training.kinds.kind import Inputs, Kind
from training.report import card
from training.report.card import Statement
from training.served import served

OPSET = 18
RTOL, ATOL = 1e-3, 1e-4
GOLDEN = 16
TOGETHER = "draws random numbers in evaluation too, or branches on the values of its input"
ALONE = "lets the items of a batch influence each other (a mean over them, a reshape that mixes them)"
CHANGE = (
    "One graph must serve all inputs, without branches and loops that hang on values, and without sizes that fit one "
    "batch only: change its forward(), for images perhaps the --size, or take another network"
)
GOES_ON = (
    "The last checkpoint is kept: once the network is fixed, with the same names and shapes of its weights, the same "
    "command goes on there, straight to the export"
)


def package(
    network: torch.nn.Module, data: Dataset, kind: Kind, out: Path, metrics: dict[str, Any], statement: Statement
) -> Path:
    """Write the package. Raises TrainingError when ONNX Runtime's outputs are not PyTorch's."""
    out.mkdir(parents=True, exist_ok=True)
    network.eval()
    values, labels = data.test
    encoded = kind.encode(kind.disclosed(values[spread(labels, GOLDEN)]))
    sample = kind.inputs(encoded, slice(GOLDEN))
    body = to_onnx(network, kind)
    try:
        expected = parity(network, body, kind, encoded)
    except TrainingError as error:
        raise TrainingError(f"{error}. {GOES_ON}") from error  # train.py removes checkpoints after this only
    (out / "model.onnx").write_bytes(body)
    for file, content in kind.files.items():
        (out / file).write_bytes(content)
    arrays = {f"input.{name}": value.numpy() for name, value in sample.items()} | {"output.logits": expected}
    with (out / "golden.npz").open("wb") as golden:
        np.savez_compressed(golden, allow_pickle=False, **arrays)
    described = card.manifest(network, data, kind, metrics, statement)
    described["golden"] = {"file": "golden.npz", "rtol": RTOL, "atol": ATOL}
    (out / "amaas.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    return out


def to_onnx(network: torch.nn.Module, kind: Kind) -> bytes:
    """The network as one ONNX file with weights inside; the number of items may vary, and what axes the kind says."""
    axes = {name: torch.export.Dim(name) for name in ("N", *(name for axes in kind.axes for name in axes.values()))}
    varying = tuple({0: axes["N"], **{axis: axes[name] for axis, name in own.items()}} for own in kind.axes)
    # an example with a batch of one would fix the batch size
    try:
        with warnings.catch_warnings(action="ignore"):  # of PyTorch's own insides: nobody here can heed them
            program = torch.onnx.export(
                network,
                kind.example(2),
                input_names=[name["name"] for name in kind.tensors],
                output_names=["logits"],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=varying,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        cause = next(iter(str(error.__cause__ or error).strip().splitlines()), "")
        raise TrainingError(f"the network cannot be exported to ONNX ({cause}). {CHANGE}") from error
    if program is None:
        raise TrainingError(f"the network cannot be exported to ONNX. {CHANGE}")
    model = program.model_proto
    del model.metadata_props[:], model.graph.metadata_props[:]
    for node in model.graph.node:  # where each node came from in the source: no business of who serves it
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    buffer = io.BytesIO()
    onnx.save_model(model, buffer)
    return buffer.getvalue()


def parity(network: torch.nn.Module, body: bytes, kind: Kind, encoded: Inputs) -> np.ndarray:
    """ONNX Runtime's logits of what is encoded, after making sure that they are PyTorch's, together and one by one.

    Raises TrainingError where they are not.
    """
    session = served(body)

    def run(indices: slice) -> tuple[np.ndarray, np.ndarray]:
        inputs = kind.inputs(encoded, indices)
        with torch.no_grad():
            expected = network(*inputs.values()).numpy()
        return np.asarray(session.run(["logits"], {name: value.numpy() for name, value in inputs.items()})[0]), expected

    together, expected = run(slice(None))
    alone = np.concatenate([run(slice(n, n + 1))[0] for n in range(len(together))])
    for logits, cause in ((together, TOGETHER), (alone, ALONE)):
        if not np.allclose(logits, expected, rtol=RTOL, atol=ATOL):
            raise TrainingError(
                f"ONNX Runtime differs from PyTorch by {np.abs(logits - expected).max():.3g}: nothing was exported. "
                f"Usually the network's forward() {cause}"
            )
    return together
