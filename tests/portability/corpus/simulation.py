"""What a graph means by the ONNX standard: exact integers, float64 sums, no kernel of ONNX Runtime.

Quantized operators are in arithmetic.py and contrib.py; those that only move or map float values are onnx's own
reference implementation, which is numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.portability.corpus import arithmetic, contrib

Values = dict[str, np.ndarray]
OPERATORS: dict[tuple[str, str], Callable[..., Any]] = {
    **{("", name): operator for name, operator in arithmetic.OPERATORS.items()},
    **{("com.microsoft", name): operator for name, operator in contrib.OPERATORS.items()},
}


@dataclass
class Simulation:
    """A model's meaning. opsets: version by domain, of the body that runs."""

    model: onnx.ModelProto
    functions: dict[tuple[str, str], onnx.FunctionProto] = field(init=False)

    def __post_init__(self) -> None:
        self.functions = {(function.domain, function.name): function for function in self.model.functions}

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs in the model's order. Raises NotImplementedError for an operator that is not simulated."""
        opsets = {entry.domain: entry.version for entry in self.model.opset_import}
        values = self.graph(self.model.graph, dict(feeds), opsets)
        return [values[output.name] for output in self.model.graph.output]

    def graph(self, graph: onnx.GraphProto, values: Values, opsets: dict[str, int]) -> Values:
        """All values of a graph, those of its surroundings included."""
        for tensor in graph.initializer:
            values.setdefault(tensor.name, numpy_helper.to_array(tensor))
        for node in graph.node:
            self.node(node, values, opsets)
        return values

    def node(self, node: onnx.NodeProto, values: Values, opsets: dict[str, int]) -> None:
        inputs = [values[name] if name else None for name in node.input]
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (domain, node.op_type) in self.functions:
            answers = self._function(self.functions[domain, node.op_type], inputs, attributes)
        elif node.op_type in ("If", "Loop"):
            answers = getattr(self, f"_{node.op_type.lower()}")(attributes, inputs, values, opsets)
        elif operator := OPERATORS.get((domain, node.op_type)):
            answers = operator(arithmetic.Context(opsets.get(domain, 1), attributes), *inputs)
        else:
            answers = _reference(node, inputs, opsets)
        answers = answers if isinstance(answers, tuple | list) else [answers]
        values.update({name: answer for name, answer in zip(node.output, answers, strict=False) if name})

    def _function(self, function: onnx.FunctionProto, inputs: list[Any], attributes: dict[str, Any]) -> list[Any]:
        values = dict(zip(function.input, inputs, strict=False))
        opsets = {entry.domain: entry.version for entry in function.opset_import}
        for node in function.node:
            if any(entry.ref_attr_name for entry in node.attribute):
                raise NotImplementedError(f"function {function.name}: attributes {sorted(attributes)} by reference")
            self.node(node, values, opsets)
        return [values[name] for name in function.output]

    def _if(self, attributes: dict[str, Any], inputs: list[Any], values: Values, opsets: dict[str, int]) -> list[Any]:
        branch = attributes["then_branch" if bool(np.asarray(inputs[0]).reshape(-1)[0]) else "else_branch"]
        scope = self.graph(branch, dict(values), opsets)
        return [scope[output.name] for output in branch.output]

    def _loop(self, attributes: dict[str, Any], inputs: list[Any], values: Values, opsets: dict[str, int]) -> list[Any]:
        body, (trips, condition, *carried) = attributes["body"], inputs
        going = True if condition is None else bool(condition)
        scanned: list[list[np.ndarray]] = [[] for _ in body.output[1 + len(carried) :]]
        for trip in range(int(trips)):
            if not going:
                break
            names = [entry.name for entry in body.input]
            state = dict(zip(names, [np.int64(trip), np.bool_(going), *carried], strict=True))
            scope = self.graph(body, {**values, **state}, opsets)
            going, *rest = (scope[output.name] for output in body.output)
            carried, slices = rest[: len(carried)], rest[len(carried) :]
            for rows, row in zip(scanned, slices, strict=True):
                rows.append(row)
        return [*carried, *(np.stack(rows) for rows in scanned)]


def _reference(node: onnx.NodeProto, inputs: list[Any], opsets: dict[str, int]) -> list[Any]:
    """onnx's reference implementation. Raises NotImplementedError where it has none."""
    known = {domain: version for domain, version in opsets.items() if domain in ("", "ai.onnx.ml")}
    try:
        evaluator = ReferenceEvaluator(node, opsets=known or {"": 21})
    except Exception as error:  # it has many classes for what it does not know
        raise NotImplementedError(f"{node.domain or 'ai.onnx'}.{node.op_type} is not simulated: {error}") from error
    feeds = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    return list(evaluator.run(None, feeds))


def simulate(model: bytes | onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The model's outputs, in its order."""
    return Simulation(onnx.load_from_string(model) if isinstance(model, bytes) else model).run(feeds)
