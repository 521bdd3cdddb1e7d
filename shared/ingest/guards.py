"""Guards: nodes in front of kernels that do not check their inputs, so that no caller's values end the process.

ONNX Runtime ends by a signal where the smallest integer is divided by -1, and where LSTM, GRU and some others
(bench/sweep finds them) meet a tensor without elements. Here a division gets a form that cannot trap, with the same
results; and a tensor that may not be empty gets a Reshape that fails, with an error, if it is. If it can be empty only
because one of the model's inputs is, no node is needed: the model's metadata names that input, and `Session.run` checks
it.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from shared.ingest import elements, graph, kernels
from shared.ingest.emptiness import Facts
from shared.ingest.verdict import Refused
from shared.runtime.sizes import NOT_EMPTY, not_empty

TRAPPING = (TensorProto.INT32, TensorProto.INT64)  # types of Div: its kernels widen narrower ones
# By (domain, operator): indexes of the inputs that may not be empty.
NOT_EMPTY_INPUTS = {
    ("", "LSTM"): (0,),
    ("", "GRU"): (0,),
    ("", "ConvTranspose"): (0,),
    ("", "Unique"): (0,),
    ("", "STFT"): (2,),
    ("com.microsoft", "DynamicQuantizeLSTM"): (0,),
    ("com.microsoft", "ConvTransposeWithDynamicPads"): (0,),
    ("com.microsoft", "QAttention"): (0,),
    ("com.microsoft", "MultiHeadAttention"): (2,),
    ("com.microsoft", "GroupQueryAttention"): (0,),
    ("com.microsoft", "RotaryEmbedding"): (0,),
    ("com.microsoft", "SkipLayerNormalization"): (1,),
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): (1,),
    ("ai.onnx.ml", "FeatureVectorizer"): (0,),
}
# Index of the input with the values of earlier calls.
PAST_VALUE = {("com.microsoft", "MultiHeadAttention"): 7, ("com.microsoft", "DecoderMaskedMultiHeadAttention"): 6}
GUARDED = {"Div", "EmbedLayerNormalization", "QLinearAveragePool"} | {
    name for _, name in (*NOT_EMPTY_INPUTS, *PAST_VALUE)
}
# The first opsets with these operators, in the form that is used here.
MAX_WITH_BROADCAST, WHERE, MAX_OF_INTEGERS, CAST_LIKE = 8, 9, 12, 15


def guard(model: Any) -> list[str]:
    """Add guards to the model in place. Returns the changes, in words. Raises Refused if no guard can make it safe."""
    return _Guards(model).insert()


class _Guards:
    """The guards of one model. Names in it are unique over all graphs and functions, which are visited together."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._used_names: set[str] = set()
        self._operators: set[str] = set()
        for node in (node for body in graph.bodies(model) for node in body.node):
            self._used_names.update((*node.input, *node.output))
            self._operators.add(node.op_type)
        self._numbers = itertools.count()
        self._divisions = self._emptiness_checks = self._shape_checks = 0
        self._inputs: set[str] = set()  # of the model, that may not be empty

    def insert(self) -> list[str]:
        if not self._operators.isdisjoint(GUARDED):
            elements.Walk(self._model).through(self._guard_body)
        changes = []
        if self._divisions:
            changes.append(f"{self._divisions} integer divisions: none can trap any more")
        if self._emptiness_checks:
            changes.append(f"{self._emptiness_checks} tensors that may not be empty: an error if they are")
        if self._shape_checks:
            changes.append(
                f"{self._shape_checks} position_ids or values of attention: an error if the shape does not fit"
            )
        stated = {entry.key: entry.value for entry in self._model.metadata_props}
        if self._inputs != not_empty(stated) or (not self._inputs and NOT_EMPTY in stated):
            self._write_metadata()
            changes.append(f"inputs that may not be empty: {', '.join(sorted(self._inputs)) or 'none'}")
        return changes

    def _write_metadata(self) -> None:
        """Replace the entry: what an uploaded model states there itself is not trusted."""
        others = [entry for entry in self._model.metadata_props if entry.key != NOT_EMPTY]
        del self._model.metadata_props[:]
        self._model.metadata_props.extend(others)
        if self._inputs:
            self._model.metadata_props.add(key=NOT_EMPTY, value=json.dumps(sorted(self._inputs)))

    def _guard_body(self, body: Any, facts: Facts, types: elements.Types, opset: int) -> None:
        nodes = list(itertools.chain.from_iterable(self._guarded(node, facts, types, opset) for node in body.node))
        if len(nodes) != len(body.node):
            del body.node[:]
            body.node.extend(nodes)

    def _guarded(self, node: Any, facts: Facts, types: elements.Types, opset: int) -> list[Any]:
        """The node with its guards, in order."""
        domain = graph.normal(node.domain)
        if (domain, node.op_type) == ("", "Div") and len(node.input) == 2:
            return self._division(node, facts, types, opset)
        before: list[Any] = []
        for index in NOT_EMPTY_INPUTS.get((domain, node.op_type), ()):
            if index < len(node.input) and node.input[index]:
                before += self._check_not_empty(node, index, facts, opset)
        if node.op_type == "QLinearAveragePool" and node.input:
            before += self._check_size(node, 0, kernels.least_pooled(node), opset)
        past = PAST_VALUE.get((domain, node.op_type), len(node.input))
        if past < len(node.input) and node.input[past] and node.input[1] and node.input[2]:
            before += self._check_value_shape(node)
        if node.op_type == "EmbedLayerNormalization" and len(node.input) > 8 and node.input[8]:
            before += self._check_positions(node)
        if node.op_type == "GroupQueryAttention" and len(node.input) > 9 and node.input[9]:
            before += self._check_rank(node)
        return [*before, node]

    # ---- emptiness

    def _check_not_empty(self, node: Any, index: int, facts: Facts, opset: int) -> list[Any]:
        name = node.input[index]
        inputs = facts.empty_by(name)
        if inputs is not None:
            self._inputs |= inputs
            return []
        return self._check_size(node, index, 1, opset)

    def _check_size(self, node: Any, index: int, least_sizes: int | list[int], opset: int) -> list[Any]:
        """An error where an input is smaller than least_sizes, by axis or for all axes.

        A Reshape to the larger of each size fails, as that shape has more elements. For any other input it is a Reshape
        to the shape that it has, which copies nothing.
        """
        if opset < MAX_WITH_BROADCAST:
            raise Refused(
                "unsupported_opset",
                f"{node.op_type} {node.name[:80]!r} ends the process on an empty tensor, and opset {opset} has no "
                f"operator to check for one; export the model with opset {MAX_WITH_BROADCAST} or newer",
            )
        self._emptiness_checks += 1
        # Max takes no integers before opset 12; doubles hold every size exactly
        name, kind = node.input[index], TensorProto.INT64 if opset >= MAX_OF_INTEGERS else TensorProto.DOUBLE
        shape, real, least, larger, whole, checked = self._names(
            node, "shape", "real", "least", "larger", "whole", "checked"
        )
        nodes = [helper.make_node("Shape", [name], [shape]), self._constant(least, least_sizes, kind)]
        if kind == TensorProto.DOUBLE:
            nodes.append(helper.make_node("Cast", [shape], [real], to=kind))
        nodes.append(helper.make_node("Max", [shape if kind == TensorProto.INT64 else real, least], [larger]))
        if kind == TensorProto.DOUBLE:
            nodes.append(helper.make_node("Cast", [larger], [whole], to=TensorProto.INT64))
        nodes.append(helper.make_node("Reshape", [name, larger if kind == TensorProto.INT64 else whole], [checked]))
        node.input[index] = checked
        return nodes

    def _check_value_shape(self, node: Any) -> list[Any]:
        """Give attention's values the shape of its keys, or fail.

        Its kernel reads the values of earlier calls as wide as this call's, beyond their end if this call's are wider.
        """
        self._shape_checks += 1
        shape, checked = self._names(node, "shape", "placed")
        values, node.input[2] = node.input[2], checked
        return [
            helper.make_node("Shape", [node.input[1]], [shape]),
            helper.make_node("Reshape", [values, shape], [checked]),
        ]

    def _check_positions(self, node: Any) -> list[Any]:
        """Give position_ids the shape of the token ids, or fail: the kernel reads one for each token, however few."""
        self._shape_checks += 1
        shape, checked = self._names(node, "shape", "placed")
        positions, node.input[8] = node.input[8], checked
        return [
            helper.make_node("Shape", [node.input[0]], [shape]),
            helper.make_node("Expand", [positions, shape], [checked]),
        ]

    def _check_rank(self, node: Any) -> list[Any]:
        """Give positions a number for each token of the query, or fail: the kernel trusts that there are two axes."""
        self._shape_checks += 1
        shape, axes, sizes, checked = self._names(node, "shape", "axes", "sizes", "placed")
        positions, node.input[9] = node.input[9], checked
        return [
            helper.make_node("Shape", [node.input[0]], [shape]),
            self._constant(axes, [0, 1]),
            helper.make_node("Gather", [shape, axes], [sizes]),
            helper.make_node("Reshape", [positions, sizes], [checked]),
        ]

    # ---- division

    def _division(self, node: Any, facts: Facts, types: elements.Types, opset: int) -> list[Any]:
        kinds = {types.get(name) for name in node.input} - {None}
        if (kinds and kinds.isdisjoint(TRAPPING)) or not facts.may_trap(*node.input):
            return [node]
        kind = next(iter(kinds), None)
        if kind is None and opset < CAST_LIKE:
            raise Refused(
                "unsupported_type",
                f"Div {node.name[:80]!r} may divide integers, some of which end the process, and its type is unknown; "
                f"export the model with opset {CAST_LIKE} or newer",
            )
        self._divisions += 1
        if kind is not None and opset < WHERE:
            return self._without_where(node, kind)
        return self._with_where(node, kind)

    def _with_where(self, node: Any, kind: int | None) -> list[Any]:
        """a / b = (a / d) · s, where b is −1 with d = 1 and s = −1, else with d = b and s = 1: exact for every type."""
        numerator, divisor = node.input
        one, minus, hit, safe, sign, quotient = self._names(node, "one", "minus", "hit", "divisor", "sign", "quotient")
        before = [*self._typed(node, one, 1, divisor, kind), *self._typed(node, minus, -1, divisor, kind)]
        before.append(helper.make_node("Equal", [divisor, minus], [hit]))
        if kind is None:  # in an unsigned type, −1 is the largest number, and must be divided by as it is
            hit, before = self._and_negative(node, divisor, hit, before)
        return [
            *before,
            helper.make_node("Where", [hit, one, divisor], [safe]),
            helper.make_node("Where", [hit, minus, one], [sign]),
            helper.make_node("Div", [numerator, safe], [quotient], node.name),
            helper.make_node("Mul", [quotient, sign], list(node.output)),
        ]

    def _and_negative(self, node: Any, divisor: str, hit: str, before: list[Any]) -> tuple[str, list[Any]]:
        zero, below, both = self._names(node, "zero", "below", "both")
        return both, [
            *before,
            *self._typed(node, zero, 0, divisor, None),
            helper.make_node("Less", [divisor, zero], [below]),
            helper.make_node("And", [hit, below], [both]),
        ]

    def _without_where(self, node: Any, kind: int) -> list[Any]:
        """As `_with_where`, for older opsets: d = b + 2·(b = −1), and s = 1 − 2·(b = −1)."""
        numerator, divisor = node.input
        one, minus, two, hit, cast, twice, safe, sign, quotient = self._names(
            node, "one", "minus", "two", "hit", "cast", "twice", "divisor", "sign", "quotient"
        )
        return [
            *(self._constant(name, value, kind) for name, value in ((one, 1), (minus, -1), (two, 2))),
            helper.make_node("Equal", [divisor, minus], [hit]),
            helper.make_node("Cast", [hit], [cast], to=kind),
            helper.make_node("Mul", [cast, two], [twice]),
            helper.make_node("Add", [divisor, twice], [safe]),
            helper.make_node("Sub", [one, twice], [sign]),
            helper.make_node("Div", [numerator, safe], [quotient], node.name),
            helper.make_node("Mul", [quotient, sign], list(node.output)),
        ]

    # ---- parts

    def _typed(self, node: Any, name: str, value: int, like: str, kind: int | None) -> list[Any]:
        if kind is not None:
            return [self._constant(name, value, kind)]
        (plain,) = self._names(node, "plain")
        return [self._constant(plain, value), helper.make_node("CastLike", [plain, like], [name])]

    def _constant(self, name: str, value: int | list[int], kind: int = TensorProto.INT64) -> Any:
        array = np.array(value, helper.tensor_dtype_to_np_dtype(kind))
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))

    def _names(self, node: Any, *ends: str) -> list[str]:
        """Names that the model does not use yet."""
        for number in self._numbers:
            names = [f"{node.op_type}/guard{number}/{end}" for end in ends]
            if self._used_names.isdisjoint(names):
                self._used_names.update(names)
                return names
        raise AssertionError("unreachable: there is always another number")
