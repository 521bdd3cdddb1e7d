"""What can be told of a model without running it: counts, operators, loops, constant shapes.

Every rule here also has a limit of the child process behind it; a rule gives the better answer, and in no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shared.ingest import graph, kernels, operators, weights
from shared.ingest.verdict import Limits, Refused
from shared.registry import withdrawn

IR_VERSIONS = range(3, 14)
# Operators whose output's size is a value, not a size: the input that holds it, and how it counts.
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
    """Raises Refused with the first rule that the model breaks. Returns its number of nodes, functions expanded.

    files: names of the package, which external data may point to.
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
                f"the model redefines {function.name[:80]!r} of the standard; rename the function's domain",
            )


def _count_nodes(model: Any, limits: Limits) -> int:
    """Nodes after all functions are expanded, which is arithmetic: the expansion itself may be astronomically large."""
    functions = {(graph.normal(f.domain), f.name): f for f in model.functions}
    known: dict[tuple[str, str], int] = {}

    def count(body: Any, depth: int, calling: tuple[tuple[str, str], ...]) -> int:
        if depth > limits.depth:
            raise Refused("too_deep", f"graphs are nested more than {limits.depth} deep; simplify the model")
        total = 0
        for node in body.node:
            total += 1 + sum(count(inner, depth + 1, calling) for inner in graph.subgraphs(node))
            total += called((graph.normal(node.domain), node.op_type), calling)
            if total > limits.nodes:
                raise Refused(
                    "too_many_nodes",
                    f"the model has more than {limits.nodes:,} nodes with its functions expanded; simplify it",
                )
        return total

    def called(key: tuple[str, str], calling: tuple[tuple[str, str], ...]) -> int:
        if key not in functions:
            return 0
        if key in calling or len(calling) > 50:
            raise Refused("invalid_graph", f"function {key[1][:80]!r} calls itself, or others too deep; export again")
        if key not in known:
            known[key] = count(functions[key], 0, (*calling, key))
        return known[key]

    for key in functions:
        called(key, ())
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
            "the model was optimised for one type of CPU and would answer wrongly on another; upload the model as it "
            "was before, or optimise it at ORT_ENABLE_EXTENDED",
        )
    if domain == operators.MICROSOFT and name in withdrawn.WITHDRAWN:
        wrong, instead = withdrawn.WITHDRAWN[name]
        return Refused("operator_not_allowed", f"com.microsoft's {name} is not served: {wrong}; {instead}")
    where = f"domain {domain[:80]!r}" if domain else "the ONNX standard"
    return Refused(
        "operator_not_allowed",
        f"operator {name[:80]!r} of {where} is not served; export the model with standard ONNX operators",
    )


def _check_values(body: Any, outer: Mapping[str, Any], limits: Limits, turns: int) -> None:
    """Sizes and loop counts that constants of the graph give. turns: of the loops around this graph, multiplied."""
    known = graph.constants(body, outer)
    replaceable = {value.name for value in body.input} if hasattr(body, "initializer") else set()
    fixed = {name: value for name, value in known.items() if name not in replaceable}
    for node in body.node:
        kernels.check(node, fixed)
        inner = turns * _turns(node, known, turns, limits) if node.op_type == "Loop" else turns
        _check_size(node, known, limits)
        for subgraph in graph.subgraphs(node):
            _check_values(subgraph, known, limits, inner)


def _turns(node: Any, known: Mapping[str, Any], outer: int, limits: Limits) -> int:
    value = known.get(node.input[0]) if node.input and node.input[0] else None
    trip = int(value.reshape(-1)[0]) if value is not None and value.size else None
    if trip is None or trip * outer > limits.loop_trips:
        raise Refused(
            "unbounded_loop",
            f"Loop {node.name[:80]!r} has no constant trip count of at most {limits.loop_trips:,}; "
            "export the model with the loop unrolled, or with a fixed number of turns",
        )
    return max(trip, 1)


def _check_size(node: Any, known: Mapping[str, Any], limits: Limits) -> None:
    for size in _sizes(node, known):
        if not size <= limits.elements:  # also for NaN
            raise Refused(
                "shape_bomb",
                f"{node.op_type} {node.name[:80]!r} makes a tensor of {size:,.0f} elements, "
                f"more than the {limits.elements:,} that are served",
            )


def _sizes(node: Any, known: Mapping[str, Any]) -> Iterator[float]:
    """The sizes that a node's constants ask for, as floats: integers would overflow."""
    if node.op_type == "Range":
        bounds = [known.get(name) for name in node.input]
        if len(bounds) == 3 and all(b is not None and b.size == 1 for b in bounds):
            start, limit, step = (float(b.reshape(-1)[0]) for b in bounds if b is not None)
            yield (limit - start) / step if step else float("inf")
    if node.op_type == "Resize":
        yield from (_reduce(known.get(name), "product") for name in node.input[2:4])
    index, how = SIZED_BY_INPUT.get(node.op_type, (len(node.input), ""))
    if index < len(node.input):
        yield _reduce(known.get(node.input[index]), how)
    wanted, how = SIZED_BY_ATTRIBUTE.get(node.op_type, ("", ""))
    for attribute in node.attribute:
        if attribute.name == wanted:
            yield _reduce(np.array([*attribute.ints, *([attribute.i] if attribute.i else [])]), how)


def _reduce(value: Any, how: str) -> float:
    if value is None or not value.size:
        return 0.0
    with np.errstate(all="ignore"):
        sizes = np.abs(value.astype(np.float64)).reshape(-1)
        return float(sizes.prod() if how == "product" else sizes.sum())
