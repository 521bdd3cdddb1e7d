"""The static scan: rules on counts, operators, loops and constant shapes, which need no run of the model.

Behind every rule there is a limit of the worker process, too; a rule answers at once, and with a better reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shared.ingest import graph, kernels, operators, weights
from shared.ingest.verdict import Limits, Refused
from shared.registry import withdrawn

IR_VERSIONS = range(3, 14)
# Operators whose output size is the value of an input: its index, and how its numbers make the size.
SIZED_BY_INPUT = {
    "ConstantOfShape": (0, "product"),
    "Expand": (1, "product"),
    "Tile": (1, "product"),
    "Upsample": (1, "product"),
    "AffineGrid": (1, "product"),
    "CenterCropPad": (1, "product"),
    "Col2Im": (1, "product"),
    "MaxUnpool": (2, "product"),
    "OneHot": (1, "sum"),
    "Pad": (1, "sum"),
    "DFT": (1, "sum"),
    "HannWindow": (0, "sum"),
    "HammingWindow": (0, "sum"),
    "BlackmanWindow": (0, "sum"),
}
SIZED_BY_ATTRIBUTE = {
    "RandomNormal": ("shape", "product"),
    "RandomUniform": ("shape", "product"),
    "ConvTranspose": ("output_shape", "product"),
    "Multinomial": ("sample_size", "sum"),
    "Tile": ("repeats", "product"),
    "Pad": ("pads", "sum"),
}


def check(model: Any, files: Mapping[str, int], limits: Limits) -> int:
    """The model's number of nodes, functions expanded. Raises Refused for the first rule that it breaks.

    files: of the package, which external data may point to.
    """
    nodes = _count_nodes(model, limits)
    _check_header(model)
    _check_operators(model)
    weights.check(model, files, limits)
    for body in (model.graph, *model.functions):
        _check_values(body, {}, limits, 1)
    return nodes


def _check_header(model: Any) -> None:
    if model.ir_version not in IR_VERSIONS:
        raise Refused("invalid_graph", f"the model has IR version {model.ir_version}; export it as version 3 to 13")
    if model.training_info:
        raise Refused("training_info", "the model carries training graphs; export it for inference")
    for function in model.functions:
        if graph.normal(function.domain) in (*operators.STANDARD, operators.MICROSOFT):
            raise Refused(
                "invalid_graph",
                f"the model redefines {function.name[:80]!r} of the standard; give the function a domain of its own",
            )


def _count_nodes(model: Any, limits: Limits) -> int:
    """Nodes with all functions expanded, counted without expanding: the result may be astronomically large."""
    functions = {(graph.normal(f.domain), f.name): f for f in model.functions}
    counts: dict[tuple[str, str], int] = {}

    # calls: of functions within functions that led here, to end a recursion
    def count(body: Any, depth: int, calls: tuple[tuple[str, str], ...]) -> int:
        if depth > limits.depth:
            raise Refused("too_deep", f"graphs are nested more than {limits.depth} deep; simplify the model")
        total = 0
        for node in body.node:
            total += 1 + sum(count(inner, depth + 1, calls) for inner in graph.subgraphs(node))
            total += count_function((graph.normal(node.domain), node.op_type), calls)
            if total > limits.nodes:
                raise Refused(
                    "too_many_nodes",
                    f"the model has more than {limits.nodes:,} nodes with its functions expanded; simplify it",
                )
        return total

    def count_function(key: tuple[str, str], calls: tuple[tuple[str, str], ...]) -> int:
        if key not in functions:
            return 0
        if key in calls or len(calls) > 50:
            raise Refused("invalid_graph", f"function {key[1][:80]!r} calls itself, or others too deep; export again")
        if key not in counts:
            counts[key] = count(functions[key], 0, (*calls, key))
        return counts[key]

    for key in functions:
        count_function(key, ())
    return count(model.graph, 0, ())


def _check_operators(model: Any) -> None:
    functions = {(graph.normal(f.domain), f.name) for f in model.functions}
    for body in graph.bodies(model):
        for node in body.node:
            domain = graph.normal(node.domain)
            if not operators.served(domain, node.op_type, functions):
                raise _not_served(domain, node.op_type)
            first = operators.variadic_from(domain, node.op_type)
            if first is not None and "" in list(node.input)[first:]:
                raise Refused(
                    "invalid_graph", f"{node.op_type} {node.name[:80]!r} has an input without a name; export it again"
                )


def _not_served(domain: str, name: str) -> Refused:
    if domain == "com.microsoft.nchwc":
        return Refused(
            "operator_not_allowed",
            "the model was optimized for one type of CPU and would answer wrongly on another; upload the model as it "
            "was before, or optimize it at ORT_ENABLE_EXTENDED",
        )
    if domain == operators.MICROSOFT and name in withdrawn.WITHDRAWN:
        fault, remedy = withdrawn.WITHDRAWN[name]
        return Refused("operator_not_allowed", f"com.microsoft's {name} is not served: {fault}; {remedy}")
    origin = f"domain {domain[:80]!r}" if domain else "the ONNX standard"
    return Refused(
        "operator_not_allowed",
        f"operator {name[:80]!r} of {origin} is not served; export the model with standard ONNX operators",
    )


def _check_values(body: Any, outer: Mapping[str, Any], limits: Limits, trips: int) -> None:
    """Check sizes and loop counts that are constants. trips: of the loops around this graph, multiplied."""
    constants = graph.constants(body, outer)
    # a call may replace an initializer that is listed as an input; its default still bounds sizes below
    replaceable = {value.name for value in body.input} if hasattr(body, "initializer") else set()
    fixed = {name: value for name, value in constants.items() if name not in replaceable}
    for node in body.node:
        kernels.check(node, fixed)
        inner = trips * _loop_trips(node, constants, trips, limits) if node.op_type == "Loop" else trips
        _check_size(node, constants, limits)
        for subgraph in graph.subgraphs(node):
            _check_values(subgraph, constants, limits, inner)


def _loop_trips(node: Any, constants: Mapping[str, Any], outer: int, limits: Limits) -> int:
    value = constants.get(node.input[0]) if node.input and node.input[0] else None
    trips = int(value.reshape(-1)[0]) if value is not None and value.size else None
    if trips is None or trips * outer > limits.loop_trips:
        raise Refused(
            "unbounded_loop",
            f"Loop {node.name[:80]!r} has no constant trip count of at most {limits.loop_trips:,}; "
            "export the model with the loop unrolled, or with a fixed trip count",
        )
    return max(trips, 1)


def _check_size(node: Any, constants: Mapping[str, Any], limits: Limits) -> None:
    for size in _sizes(node, constants):
        if not size <= limits.elements:  # also for NaN
            raise Refused(
                "shape_bomb",
                f"{node.op_type} {node.name[:80]!r} makes a tensor of {size:,.0f} elements, "
                f"more than the {limits.elements:,} that are allowed; make it smaller",
            )


def _sizes(node: Any, constants: Mapping[str, Any]) -> Iterator[float]:
    """The sizes of outputs that constants determine, as floats: integers would overflow."""
    if node.op_type == "Range":
        bounds = [constants.get(name) for name in node.input]
        if len(bounds) == 3 and all(b is not None and b.size == 1 for b in bounds):
            start, limit, step = (float(b.reshape(-1)[0]) for b in bounds if b is not None)
            yield (limit - start) / step if step else float("inf")
    if node.op_type == "Resize":
        yield from (_reduce(constants.get(name), "product") for name in node.input[2:4])
    index, how = SIZED_BY_INPUT.get(node.op_type, (len(node.input), ""))
    if index < len(node.input):
        yield _reduce(constants.get(node.input[index]), how)
    size_attribute, how = SIZED_BY_ATTRIBUTE.get(node.op_type, ("", ""))
    for attribute in node.attribute:
        if attribute.name == size_attribute:
            yield _reduce(np.array([*attribute.ints, *([attribute.i] if attribute.i else [])]), how)


def _reduce(value: Any, how: str) -> float:
    if value is None or not value.size:
        return 0.0
    with np.errstate(all="ignore"):
        sizes = np.abs(value.astype(np.float64)).reshape(-1)
        return float(sizes.prod() if how == "product" else sizes.sum())
