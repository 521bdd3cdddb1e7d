"""Four changes that make a model servable without changing what it computes.

- StringNormalizer asks for the locale en_US.UTF-8, which small images and Lambda lack; C.UTF-8 is always there.
- A final ZipMap turns scores into a list of dictionaries, which no protocol can carry; the scores are a tensor.
- A sequence of tensors becomes one tensor with their number as its first axis; it runs if all of them have one shape.
- An input with a default is an optional input, but older exporters list all weights as such: they become constants.
"""

from __future__ import annotations

import math
from typing import Any

from onnx import AttributeProto, TensorProto, helper

from shared.ingest import graph

LOCALE = "C.UTF-8"
MAX_OPTIONAL, MAX_DEFAULT = 16, 1024  # inputs, elements: more than that are weights, which no caller sends


def normalize(model: Any) -> tuple[list[str], list[str] | None]:
    """Change the model in place. Returns the changes, in words, and the class labels of a removed ZipMap."""
    changes = []
    if sum(_set_locale(node) for body in graph.bodies(model) for node in body.node):
        changes.append(f"StringNormalizer: locale set to {LOCALE}")
    if fixed := _fix_weights(model):
        changes.append(f"{fixed} weights are listed as inputs: made constants")
    labels = None
    for node in [n for n in model.graph.node if n.op_type == "ZipMap" and n.domain == "ai.onnx.ml"]:
        zipped_labels = _unzip(model.graph, node)
        if zipped_labels is not None:
            labels = zipped_labels
            changes.append("ZipMap removed: the output is the tensor of scores")
    stacked = [output.name for output in model.graph.output if _stack(model.graph, output)]
    if stacked:
        changes.append(f"sequences made one tensor, their number its first axis: {', '.join(stacked)}")
    return changes, labels


def _fix_weights(model: Any) -> int:
    """Take initializers off the inputs, unless few and small. Returns how many. Before IR 4, all had to be listed."""
    body = model.graph
    if model.ir_version < 4:
        return 0
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in body.initializer}
    listed = [value for value in body.input if value.name in sizes]
    if len(listed) <= MAX_OPTIONAL and all(sizes[value.name] <= MAX_DEFAULT for value in listed):
        return 0
    for value in listed:
        body.input.remove(value)
    return len(listed)


def _stack(body: Any, output: Any) -> bool:
    """Put ConcatFromSequence before an output that is a sequence of tensors; False for any other."""
    element = output.type.sequence_type.elem_type
    if not output.type.HasField("sequence_type") or not element.HasField("tensor_type"):
        return False
    name, inner = output.name, f"{output.name}/sequence"
    for node in body.node:
        for names in (node.input, node.output):
            for index, current in enumerate(names):
                if current == name:
                    names[index] = inner
    body.node.append(helper.make_node("ConcatFromSequence", [inner], [name], axis=0, new_axis=1))
    shape = element.tensor_type.shape.dim if element.tensor_type.HasField("shape") else None
    described = helper.make_tensor_value_info(name, element.tensor_type.elem_type, None if shape is None else [None])
    for dimension in shape or ():
        described.type.tensor_type.shape.dim.add().CopyFrom(dimension)
    output.CopyFrom(described)
    return True


def _set_locale(node: Any) -> bool:
    if node.op_type != "StringNormalizer":
        return False
    for attribute in node.attribute:
        if attribute.name == "locale":
            if attribute.s == LOCALE.encode():
                return False
            attribute.s = LOCALE.encode()
            return True
    node.attribute.append(helper.make_attribute("locale", LOCALE))
    return True


def _unzip(body: Any, node: Any) -> list[str] | None:
    """Replace a ZipMap whose output is the graph's by Identity; None where something else reads it."""
    name = node.output[0] if node.output else ""
    outputs = [output for output in body.output if output.name == name]
    readers = any(name in other.input for other in body.node)
    if not outputs or readers or not node.input:
        return None
    labels = _labels(node)
    batch = next((i.type.tensor_type.shape.dim[0] for i in body.input if i.type.tensor_type.shape.dim), None)
    outputs[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, len(labels)]))
    if batch is not None:
        outputs[0].type.tensor_type.shape.dim[0].CopyFrom(batch)
    node.op_type, node.domain = "Identity", ""
    node.ClearField("attribute")
    return labels


def _labels(node: Any) -> list[str]:
    for attribute in node.attribute:
        if attribute.name == "classlabels_strings" and attribute.type == AttributeProto.STRINGS:
            return [value.decode(errors="replace") for value in attribute.strings]
        if attribute.name == "classlabels_int64s" and attribute.type == AttributeProto.INTS:
            return [str(value) for value in attribute.ints]
    return []
