"""Two changes that make a model servable without changing what it computes.

StringNormalizer asks for the locale en_US.UTF-8, which small images and Lambda lack; C.UTF-8 is always there. A final
ZipMap turns scores into a list of dictionaries, which no inference protocol has; the scores themselves are a tensor.
"""

from __future__ import annotations

from typing import Any

from onnx import AttributeProto, TensorProto, helper

from shared.ingest import graph

LOCALE = "C.UTF-8"


def normalize(model: Any) -> tuple[list[str], list[str] | None]:
    """Change the model in place. Returns what was done, in words, and the class labels of a removed ZipMap."""
    done = []
    if sum(_set_locale(node) for body in graph.bodies(model) for node in body.node):
        done.append(f"StringNormalizer: locale set to {LOCALE}")
    labels = None
    for node in [n for n in model.graph.node if n.op_type == "ZipMap" and n.domain == "ai.onnx.ml"]:
        found = _unzip(model.graph, node)
        if found is not None:
            labels = found
            done.append("ZipMap removed: the output is the tensor of scores")
    return done, labels


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
