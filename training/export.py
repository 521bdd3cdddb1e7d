"""From a trained network to a package: model.onnx, amaas.json with the model card, golden.npz."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from training.data import Dataset, normalised, spread
from training.errors import TrainingError

OPSET = 18
RTOL, ATOL = 1e-3, 1e-4
GOLDEN = 16
BINS = 20


def package(
    network: torch.nn.Module, data: Dataset, out: Path, *, name: str, mean: list[float], std: list[float],
    metrics: dict[str, Any], recipe: dict[str, Any], licence: str | None = None,
) -> Path:  # fmt: skip
    """Write the package. Raises TrainingError when ONNX Runtime's outputs are not PyTorch's.

    licence: the model's; without one, the data's is taken.
    """
    out.mkdir(parents=True, exist_ok=True)
    network.eval()
    images, labels = data.test
    sample = normalise(images[spread(labels, GOLDEN)], mean, std)
    body = to_onnx(network, sample)
    expected = parity(network, body, sample)
    (out / "model.onnx").write_bytes(body)
    with (out / "golden.npz").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{"input.image": sample.numpy(), "output.logits": expected})
    described = manifest(network, data, name, mean, std, metrics, recipe, licence)
    (out / "amaas.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    return out


def normalise(images: np.ndarray, mean: list[float], std: list[float]) -> torch.Tensor:
    """Pixels [N, H, W, C] as the network's input [N, C, H, W], by the very formula that amaas.json declares."""
    return torch.from_numpy(normalised(images, mean, std))


def to_onnx(network: torch.nn.Module, sample: torch.Tensor) -> bytes:
    """The network as one ONNX file with weights inside; the first dimension may vary."""
    # an example with a batch of one would fix the batch size
    try:
        program = torch.onnx.export(
            network, (torch.zeros(2, *sample.shape[1:]),), input_names=["image"], output_names=["logits"],
            opset_version=OPSET, dynamo=True, dynamic_shapes=({0: torch.export.Dim("N")},), verbose=False,
        )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        cause = next(iter(str(error.__cause__ or error).strip().splitlines()), "")
        raise TrainingError(f"the network cannot be exported to ONNX ({cause}): change it, or its --size") from error
    if program is None:
        raise TrainingError("the network cannot be exported to ONNX")
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


def parity(network: torch.nn.Module, body: bytes, sample: torch.Tensor) -> np.ndarray:
    """ONNX Runtime's outputs on the sample, after making sure that they are PyTorch's, together and one by one."""
    session = onnxruntime.InferenceSession(body, providers=["CPUExecutionProvider"])
    got = np.asarray(session.run(["logits"], {"image": sample.numpy()})[0])
    alone = np.concatenate([session.run(["logits"], {"image": one[None]})[0] for one in sample.numpy()])
    with torch.no_grad():
        want = network(sample).numpy()
    for outputs in (got, alone):
        if not np.allclose(outputs, want, rtol=RTOL, atol=ATOL):
            raise TrainingError(
                f"ONNX Runtime differs from PyTorch by {np.abs(outputs - want).max():.3g}: nothing was exported"
            )
    return got


def manifest(
    network: torch.nn.Module, data: Dataset, name: str, mean: list[float], std: list[float],
    metrics: dict[str, Any], recipe: dict[str, Any], licence: str | None,
) -> dict[str, Any]:  # fmt: skip
    """The content of amaas.json."""
    _, height, width, channels = data.train[0].shape
    counts = {split: len(getattr(data, split)[1]) for split in ("train", "validation", "test")}
    return {
        "name": name,
        "task": "image-classification",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, channels, height, width]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, len(data.labels)]}],
        "preprocess": {
            "mode": "L" if channels == 1 else "RGB", "size": [height, width], "resize": "stretch",
            "interpolation": "bilinear", "scale": 1 / 255, "mean": mean, "std": std, "layout": "NCHW",
        },
        "postprocess": {"activation": "softmax", "top_k": 5},
        "labels": data.labels,
        "metrics": metrics,
        "dataset": {**data.about, "splits": counts, "dropped": data.dropped()},
        "licence": licence or data.about["licence"],
        "card": card(name, data, metrics, recipe, counts),
        "lineage": {"parent": None, "step": "train", "details": recipe},
        "golden": {"file": "golden.npz", "rtol": RTOL, "atol": ATOL},
        "reference": reference(network, data, mean, std),
    }  # fmt: skip


def card(name: str, data: Dataset, metrics: dict[str, Any], recipe: dict[str, Any], counts: dict[str, int]) -> str:
    """The model card, in Markdown; every figure in it is taken from metrics."""
    dropped = ", ".join(f"{count} {reason}" for reason, count in data.dropped().items()) or "none"
    settings = ", ".join(f"{key} {value}" for key, value in recipe.items())
    about = data.about
    licence = about["licence"] or "not stated"
    holder = f", © {about['copyright']}" if "copyright" in about else ""
    per_class = "\n".join(f"| {label} | {value:.1%} |" for label, value in metrics["test_recall"].items())
    return f"""# {name}

Sorts images into {len(data.labels)} classes: {", ".join(data.labels)}.

**Test accuracy {metrics["test_accuracy"]:.2%}** (95 % interval {metrics["test_interval"][0]:.2%} to
{metrics["test_interval"][1]:.2%}, {counts["test"]:,} images that took no part in training or model choice).

| class | recall |
|---|---|
{per_class}

**Data:** {about["name"]} ({about["source"]}; licence: {licence}{holder}). Training {counts["train"]:,},
validation {counts["validation"]:,}, test {counts["test"]:,}. Dropped in cleaning: {dropped}.

**Training:** {settings}. {metrics["parameters"]:,} parameters.

**Limits:** it knows nothing but these classes, and answers one of them for any image. The figures hold for images like
those of the test set: measure it on your own before you rely on it. Its scores are not calibrated.
"""


def reference(network: torch.nn.Module, data: Dataset, mean: list[float], std: list[float]) -> dict[str, Any]:
    """Histograms over the validation set that later traffic can be compared with: brightness, and the top score."""
    images = data.validation[0]
    brightness = images.reshape(len(images), -1).mean(1) / 255
    with torch.no_grad():
        logits = torch.cat(
            [network(normalise(part, mean, std)) for part in np.array_split(images, 1 + len(images) // 512)]
        )
    top = torch.softmax(logits, 1).max(1).values.numpy()
    predicted = np.bincount(logits.argmax(1).numpy(), minlength=len(data.labels))
    return {
        "features": {"brightness": _histogram(brightness)},
        "scores": {"top": _histogram(top), "labels": dict(zip(data.labels, predicted.tolist(), strict=True))},
    }


def _histogram(values: np.ndarray) -> dict[str, list[Any]]:
    counts, edges = np.histogram(values, bins=BINS, range=(0, 1))
    return {"edges": [round(float(edge), 6) for edge in edges], "counts": counts.tolist()}
