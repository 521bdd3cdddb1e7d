"""A package's graph as a PyTorch network that can be trained on, and back: by onnx2torch, and our own export.

onnx2torch knows operators up to opset 17 and takes a reshape's target as it stands: the graph is brought there first.
Whatever comes out is compared with ONNX Runtime before anything is done to it.
"""

from __future__ import annotations

import copy
import warnings

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper, version_converter

from training import export, measure, package
from training.compress.evaluation_data import Examples
from training.compress.tooling import INTEGER
from training.errors import TrainingError
from training.package import Arrays, Package
from training.served import served

OPSET = 17
QUANTIZED = INTEGER | {"QuantizeLinear", "DynamicQuantizeLinear"}
LAYERS = (torch.nn.modules.conv._ConvNd, torch.nn.Linear)
RTOL, ATOL = 1e-3, 1e-4
COMPARED = 16  # rows


def network(parent: Package, inputs: Arrays) -> torch.nn.Module:
    """The package's network with its weights, in evaluation mode. inputs: a few rows to compare its outputs on.

    Raises TrainingError for graphs that are quantized, or that do not become a network with the same answers.
    """
    _check(parent.model)
    name, rows = _only(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx2torch  # registers operators with PyTorch, and warns of how it does so

        try:
            module: torch.nn.Module = onnx2torch.convert(_simplified(parent.model)).eval()
            with torch.no_grad():
                logits = module(torch.from_numpy(rows)).numpy()
        except Exception as error:  # onnx's converter, onnx2torch and torch.fx each raise their own
            raise TrainingError(
                f"the graph cannot be brought back to PyTorch ({_reason(error)}): fine-tuning is for convolutional "
                "classifiers as training.train exports them; try distil, which needs the model's answers only"
            ) from error
    expected = next(iter(measure.outputs(served(package.serialized(parent.model)), {name: rows}).values()))
    if logits.shape != expected.shape or not np.allclose(logits, expected, rtol=RTOL, atol=ATOL):
        raise TrainingError("the graph, brought back to PyTorch, answers otherwise than before: try distil instead")
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    return module


def body(module: torch.nn.Module, parent: Package, examples: Examples) -> bytes:
    """The network as ONNX, with the name of the parent's output. Raises TrainingError if answers differ."""
    module = module.eval().cpu()
    exported = export.to_onnx(module, examples.kind)
    export.parity(module, exported, examples.kind, {name: rows[:COMPARED] for name, rows in examples.encoded.items()})
    return package.serialized(_renamed(onnx.load_from_string(exported), parent.model.graph.output[0].name))


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def weighted(module: torch.nn.Module) -> list[torch.nn.Module]:
    """Its convolutions and linear layers, in the order of the graph; the last one makes the logits."""
    layers: list[torch.nn.Module] = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    if not layers:
        raise TrainingError("the model has no convolution and no linear layer: there is nothing to prune")
    return layers


def _check(model: onnx.ModelProto) -> None:
    kinds = {node.op_type for node in model.graph.node}
    if kinds & QUANTIZED:
        raise TrainingError(
            f"the model is quantized ({', '.join(sorted(kinds & QUANTIZED))}), its weights cannot be trained on: "
            "prune its parent, and quantize the result"
        )
    half = onnx.TensorProto.FLOAT16
    if any(tensor.data_type == half for tensor in model.graph.initializer):
        raise TrainingError("the model has FP16 weights: prune its parent, and bring the result to FP16")
    if len(model.graph.output) != 1:
        raise TrainingError(f"a classifier has one output, this model {len(model.graph.output)}")


def _only(inputs: Arrays) -> tuple[str, np.ndarray]:
    if len(inputs) != 1:
        raise TrainingError(f"fine-tuning is for models with one input, this one has {sorted(inputs)}")
    name, rows = next(iter(inputs.items()))
    return name, np.ascontiguousarray(rows[:COMPARED], np.float32)


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Opset 17, without allowzero, and with flattening said as such: a fixed width would not survive pruning."""
    model = onnx.shape_inference.infer_shapes(copy.deepcopy(model))
    if model.opset_import[0].version > OPSET:
        model = version_converter.convert_version(model, OPSET)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants:
            _reshape(node, constants[node.input[1]].tolist(), ranks.get(node.input[0], 0))
    return model


def _reshape(node: onnx.NodeProto, target: list[int], rank: int) -> None:
    if len(target) == 2 and target[0] in (-1, 0) and rank > 2:
        node.op_type = "Flatten"
        del node.input[1:], node.attribute[:]
        node.attribute.append(helper.make_attribute("axis", 1))
    elif 0 not in target:
        attributes = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(attributes)


def _renamed(model: onnx.ModelProto, answer: str) -> onnx.ModelProto:
    names = {model.graph.output[0].name: answer}
    used = {name for node in model.graph.node for name in (*node.input, *node.output)} - set(names)
    names |= {name: f"{name}_inner" for name in {answer} & used}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for values in (model.graph.input, model.graph.output, model.graph.initializer, model.graph.value_info):
        for value in values:
            value.name = names.get(value.name, value.name)
    onnx.checker.check_model(model, full_check=True)
    return model


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0][:200]
