"""What keeps a caller's values from ending the process: nodes in front of kernels that trust what they are given.

ONNX Runtime ends by a signal where the smallest whole number is divided by -1, and where LSTM, GRU and some others
(bench/sweep finds them) meet a tensor without elements. Here a division gets a form that cannot trap, with the same
numbers; and what may not be empty gets a Reshape that fails, with an error, where it is. Where only a model's own
inputs can bring emptiness about, nothing is put in: the model says so in its metadata, and `Session.run` asks.
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

TRAPPING = (TensorProto.INT32, TensorProto.INT64)  # of Div: narrower kinds are widened by their kernels
# Inputs that may not be empty: by (domain, operator).
NEEDED = {
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
# Where they take values of earlier calls.
PAST_VALUE = {("com.microsoft", "MultiHeadAttention"): 7, ("com.microsoft", "DecoderMaskedMultiHeadAttention"): 6}
GUARDED = {"Div", "EmbedLayerNormalization", "QLinearAveragePool"} | {name for _, name in (*NEEDED, *PAST_VALUE)}
# opsets from which ONNX Runtime has these, for what they are used for here
MAX_WITH_BROADCAST, WHERE, MAX_OF_INTEGERS, CAST_LIKE = 8, 9, 12, 15


def guard(model: Any) -> list[str]:
    """Change the model in place; what was done, in words. Raises Refused for what no guard can make safe."""
    return _Guards(model).put()


class _Guards:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._taken: set[str] = set()
        self._used: set[str] = set()
        for node in (node for body in graph.bodies(model) for node in body.node):
            self._taken.update((*node.input, *node.output))
            self._used.add(node.op_type)
        self._numbers = itertools.count()
        self._divisions = self._asserted = self._placed = 0
        self._inputs: set[str] = set()

    def put(self) -> list[str]:
        if not self._used.isdisjoint(GUARDED):
            elements.Walk(self._model).through(self._body)
        done = []
        if self._divisions:
            done.append(f"{self._divisions} whole-number divisions: none can trap any more")
        if self._asserted:
            done.append(f"{self._asserted} tensors that may not be empty: an error where they are")
        if self._placed:
            done.append(f"{self._placed} position_ids or values of attention: an error where their shape does not fit")
        stated = {entry.key: entry.value for entry in self._model.metadata_props}
        if self._inputs != not_empty(stated) or (not self._inputs and NOT_EMPTY in stated):
            self._describe()
            done.append(f"inputs that may not be empty: {', '.join(sorted(self._inputs)) or 'none'}")
        return done

    def _describe(self) -> None:
        """Whatever the model says there itself does not count."""
        others = [entry for entry in self._model.metadata_props if entry.key != NOT_EMPTY]
        del self._model.metadata_props[:]
        self._model.metadata_props.extend(others)
        if self._inputs:
            self._model.metadata_props.add(key=NOT_EMPTY, value=json.dumps(sorted(self._inputs)))

    def _body(self, body: Any, facts: Facts, types: elements.Types, opset: int) -> None:
        nodes = list(itertools.chain.from_iterable(self._guarded(node, facts, types, opset) for node in body.node))
        if len(nodes) != len(body.node):
            del body.node[:]
            body.node.extend(nodes)

    def _guarded(self, node: Any, facts: Facts, types: elements.Types, opset: int) -> list[Any]:
        domain = graph.normal(node.domain)
        if (domain, node.op_type) == ("", "Div") and len(node.input) == 2:
            return self._division(node, facts, types, opset)
        before: list[Any] = []
        for index in NEEDED.get((domain, node.op_type), ()):
            if index < len(node.input) and node.input[index]:
                before += self._not_empty(node, index, facts, opset)
        if node.op_type == "QLinearAveragePool" and node.input:
            before += self._at_least(node, 0, kernels.least_pooled(node), opset)
        past = PAST_VALUE.get((domain, node.op_type), len(node.input))
        if past < len(node.input) and node.input[past] and node.input[1] and node.input[2]:
            before += self._like_keys(node)
        if node.op_type == "EmbedLayerNormalization" and len(node.input) > 8 and node.input[8]:
            before += self._positions(node)
        return [*before, node]

    # ---- emptiness

    def _not_empty(self, node: Any, index: int, facts: Facts, opset: int) -> list[Any]:
        name = node.input[index]
        inputs = facts.empty_by(name)
        if inputs is not None:
            self._inputs |= inputs
            return []
        return self._at_least(node, index, 1, opset)

    def _at_least(self, node: Any, index: int, sizes: int | list[int], opset: int) -> list[Any]:
        """An error where an input is smaller: Reshape to the larger of each size fails, as that has more elements.

        Elsewhere it is a Reshape to the shape that there is, which copies nothing.
        """
        if opset < MAX_WITH_BROADCAST:
            raise Refused(
                "unsupported_opset",
                f"{node.op_type} {node.name[:80]!r} ends the process on nothing, which opset {opset} cannot check; "
                f"export the model with opset {MAX_WITH_BROADCAST} or newer",
            )
        self._asserted += 1
        name, kind = node.input[index], TensorProto.INT64 if opset >= MAX_OF_INTEGERS else TensorProto.DOUBLE
        shape, real, least, larger, whole, checked = self._names(
            node, "shape", "real", "least", "larger", "whole", "checked"
        )
        made = [helper.make_node("Shape", [name], [shape]), self._constant(least, sizes, kind)]
        if kind == TensorProto.DOUBLE:
            made.append(helper.make_node("Cast", [shape], [real], to=kind))
        made.append(helper.make_node("Max", [shape if kind == TensorProto.INT64 else real, least], [larger]))
        if kind == TensorProto.DOUBLE:
            made.append(helper.make_node("Cast", [larger], [whole], to=TensorProto.INT64))
        made.append(helper.make_node("Reshape", [name, larger if kind == TensorProto.INT64 else whole], [checked]))
        node.input[index] = checked
        return made

    def _like_keys(self, node: Any) -> list[Any]:
        """What is remembered of values is read as wide as this call's are; what is right, is as wide as keys are."""
        self._placed += 1
        shape, placed = self._names(node, "shape", "placed")
        values, node.input[2] = node.input[2], placed
        return [
            helper.make_node("Shape", [node.input[1]], [shape]),
            helper.make_node("Reshape", [values, shape], [placed]),
        ]

    def _positions(self, node: Any) -> list[Any]:
        """Its kernel reads as many positions as there are words, whatever there is."""
        self._placed += 1
        shape, placed = self._names(node, "shape", "placed")
        positions, node.input[8] = node.input[8], placed
        return [
            helper.make_node("Shape", [node.input[0]], [shape]),
            helper.make_node("Expand", [positions, shape], [placed]),
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
                f"Div {node.name[:80]!r} may divide whole numbers, some of which end the process, and its type is not "
                f"known; export the model with opset {CAST_LIKE} or newer",
            )
        self._divisions += 1
        if kind is not None and opset < WHERE:
            return self._without_where(node, kind)
        return self._with_where(node, kind)

    def _with_where(self, node: Any, kind: int | None) -> list[Any]:
        """a / b = (a / d) · s, where b is −1 with d = 1 and s = −1, else with d = b and s = 1: exact for every type."""
        numerator, divisor = node.input
        one, minus, hit, safe, sign, quotient = self._names(node, "one", "minus", "hit", "divisor", "sign", "quotient")
        made = [*self._typed(node, one, 1, divisor, kind), *self._typed(node, minus, -1, divisor, kind)]
        made.append(helper.make_node("Equal", [divisor, minus], [hit]))
        if kind is None:  # of a type without −1, that is another number, and left alone
            hit, made = self._negative(node, divisor, hit, made)
        return [
            *made,
            helper.make_node("Where", [hit, one, divisor], [safe]),
            helper.make_node("Where", [hit, minus, one], [sign]),
            helper.make_node("Div", [numerator, safe], [quotient], node.name),
            helper.make_node("Mul", [quotient, sign], list(node.output)),
        ]

    def _negative(self, node: Any, divisor: str, hit: str, made: list[Any]) -> tuple[str, list[Any]]:
        zero, below, both = self._names(node, "zero", "below", "both")
        return both, [
            *made,
            *self._typed(node, zero, 0, divisor, None),
            helper.make_node("Less", [divisor, zero], [below]),
            helper.make_node("And", [hit, below], [both]),
        ]

    def _without_where(self, node: Any, kind: int) -> list[Any]:
        """The same with 2·(b = −1) added to b, and taken from 1."""
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
        """New ones, of this node: a function has no initializers, and a name may be taken."""
        for number in self._numbers:
            names = [f"{node.op_type}/guard{number}/{end}" for end in ends]
            if self._taken.isdisjoint(names):
                self._taken.update(names)
                return names
        raise AssertionError("there is no end of numbers")
