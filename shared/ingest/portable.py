"""Quantised models in a form that gives the same answers on every processor.

ONNX Runtime multiplies unsigned activations with signed weights by an instruction that adds up pairs of products in 16
bits, where a processor has nothing better (AVX2, AVX-512 without VNNI): large sums are cut off, silently. Unsigned
weights take another instruction, which cannot overflow. So where sums could be cut off, the INT8 weights w with zero
point z become UINT8: w + 128 with zero point z + 128, which is the same number at every place. Weights that are small
enough (7 bits) and operators whose activations are signed stay as they are.

Weight-only forms keep float activations: MatMulNBits would round them to 8 bits at accuracy level 4, where the
processor has a kernel for that, and not elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, inliner, numpy_helper

from shared.ingest import graph, quantised
from shared.ingest.quantised import FUSED, INT8, MICROSOFT, MOVING, UINT8, Operand, Scope

OFFSET = 128
DEQUANTIZED = Operand(0, 2, 1)  # of QuantizeLinear and DequantizeLinear
FLOAT_ACTIVATIONS = 1  # accuracy_level: 0 = as the runtime likes, 1 = FP32, 4 = INT8


def rewrite(model: Any) -> list[str]:
    """Change the model in place. Returns what was done, in words; nothing where the model is right as it is."""
    return keep_float_activations(model) + make_unsigned(model)


def keep_float_activations(model: Any) -> list[str]:
    """The part that holds for weight-only forms, on every processor. Returns and changes as `rewrite` does."""
    if any(_computes(function) for function in model.functions):
        model.CopyFrom(inliner.inline_local_functions(model))
    levels = sum(_float_activations(node) for body in graph.bodies(model) for node in body.node)
    if not levels:
        return []
    return [f"{levels} MatMulNBits: activations stay floats, as on processors without an 8-bit kernel"]


def make_unsigned(model: Any) -> list[str]:
    """The part for products of 8-bit numbers, after `keep_float_activations`. Returns and changes as `rewrite` does.

    Right on every processor; on one that adds up in 32 bits (VNNI) signed weights are right too, and much faster.
    """
    return _Rewriting(model).done()


def _computes(function: Any) -> bool:
    """Whether a function of the model, whose values have no types, holds anything of interest here."""
    stack = [function]
    while stack:
        for node in stack.pop().node:
            if quantised.product(node) or node.op_type in quantised.QUANTISES or node.op_type == "MatMulNBits":
                return True
            stack += graph.subgraphs(node)
    return False


class _Rewriting:
    """One model, while it is changed."""

    def __init__(self, model: Any) -> None:
        self.scopes = list(quantised.scopes(model))
        self.names = _names(model)
        self.twins: dict[tuple[int, str], str] = {}  # (id of the scope that has a name, name) → its UINT8 twin
        self.shifted: set[str] = set()  # names with a twin: what is left of them may be of no use any more
        self.nodes = 0
        self.converted = 0

    def done(self) -> list[str]:
        """All of it; what was done, in words."""
        for scope, node in self._everywhere():
            self._product(scope, node)
        for scope, node in self._everywhere() if self.shifted else ():
            self._tied(scope, node)
        self._drop_unused()
        words = []
        if self.nodes:
            words.append(f"{self.nodes} integer operators: INT8 weights made UINT8, whose sums no processor cuts off")
        if self.converted:
            words.append(f"{self.converted} of their inputs are no constants: converted to UINT8 in each call")
        return words

    def _everywhere(self) -> list[tuple[Scope, Any]]:
        return [(scope, node) for scope in self.scopes for node in scope.body.node]

    def _product(self, scope: Scope, node: Any) -> None:
        kind = quantised.product(node)
        if kind is not None:
            signed = kind.left is not None and quantised.factor(scope, node, kind.left) == INT8
            for operand in () if signed else kind.right:
                if _at_risk(scope, node.input[operand.tensor]):
                    self._shift(scope, node, operand)
        elif node.op_type in FUSED and len(node.input) > 1:
            left, right = (quantised.dequantizer(scope, name) for name in node.input[:2])
            if left and right:
                for place, source in (left, right):
                    # constants may be the left factor too, as in weights × activations
                    if _at_risk(place, source.input[0]) and (source is right[1] or place.tensor(source.input[0])):
                        self._shift(place, source, DEQUANTIZED)

    def _shift(self, scope: Scope, node: Any, operand: Operand) -> None:
        """Let an operator read the twin of a factor, with the zero point that goes with it."""
        node.input[operand.tensor] = self._unsigned(scope, node, node.input[operand.tensor])
        while len(node.input) <= operand.zero:
            node.input.append("")
        name = node.input[operand.zero]
        node.input[operand.zero] = self._unsigned(scope, node, name) if name else self._zero(scope, node, operand)
        self.nodes += 1

    def _zero(self, scope: Scope, node: Any, operand: Operand) -> str:
        """A zero point of 128 where none was given: one number, or one for each scale."""
        scale = node.input[operand.scale] if operand.scale is not None and operand.scale < len(node.input) else ""
        tensor = scope.tensor(scale)
        name = self._fresh(f"{scale or node.output[0]}/zero_point")
        if scale and tensor is None:
            shape = self._fresh(f"{scale}/shape")
            fill = numpy_helper.from_array(np.array([OFFSET], np.uint8))
            scope.insert_before(node, helper.make_node("Shape", [scale], [shape]))
            scope.insert_before(node, helper.make_node("ConstantOfShape", [shape], [name], value=fill))
        else:
            scope.add(name, np.full(list(tensor.dims) if tensor is not None else [], OFFSET, np.uint8))
        return name

    def _unsigned(self, scope: Scope, user: Any, name: str) -> str:
        """The name of a UINT8 tensor that is the INT8 one plus 128, made if need be. user: who reads it, in `scope`."""
        home = scope.home(name)
        assert home is not None  # its element type is known, so it is made somewhere
        if (id(home), name) in self.twins:
            return self.twins[id(home), name]
        tensor, node = home.tensors.get(name), home.producers.get(name)
        if tensor is not None:
            twin = self._fresh(f"{name}/uint8")
            home.add(twin, numpy_helper.to_array(tensor).view(np.uint8) ^ np.uint8(OFFSET))
        elif node is not None and node.op_type == "QuantizeLinear":
            twin = self._requantized(home, node)
        elif node is not None and _moves(home, node):
            return self._moved(home, node, name)
        else:
            return self._converted(scope, user, name)
        self.twins[id(home), name] = twin
        self.shifted.add(name)
        return twin

    def _requantized(self, scope: Scope, node: Any) -> str:
        """A twin of a QuantizeLinear, which gives UINT8."""
        copy = _copy(node)
        copy.output[0] = self._fresh(f"{node.output[0]}/uint8")
        for entry in copy.attribute:
            if entry.name == "output_dtype":
                entry.i = UINT8
        while len(copy.input) < 3:
            copy.input.append("")
        zero = copy.input[2]
        copy.input[2] = self._unsigned(scope, node, zero) if zero else self._zero(scope, node, DEQUANTIZED)
        scope.insert_after(node, copy)
        return str(copy.output[0])

    def _moved(self, scope: Scope, node: Any, name: str) -> str:
        """A twin of an operator that hands elements on, over the twins of its inputs."""
        copy = _copy(node)
        for index in range(len(node.input)) if MOVING[node.op_type] is None else (0,):
            copy.input[index] = self._unsigned(scope, node, node.input[index])
        for index, output in enumerate(node.output):
            copy.output[index] = self._fresh(f"{output}/uint8") if output else ""
            self.twins[id(scope), output] = copy.output[index]
            self.shifted.add(output)
        scope.insert_after(node, copy)
        return self.twins[id(scope), name]

    def _converted(self, scope: Scope, user: Any, name: str) -> str:
        """What is no constant: INT8 → INT32 → + 128 → UINT8, in front of its user."""
        wide, moved, twin = (self._fresh(f"{name}/{suffix}") for suffix in ("int32", "shifted", "uint8"))
        offset = self._fresh(f"{name}/offset")
        scope.add(offset, np.array(OFFSET, np.int32))
        scope.insert_before(user, helper.make_node("Cast", [name], [wide], to=TensorProto.INT32))
        scope.insert_before(user, helper.make_node("Add", [wide, offset], [moved]))
        scope.insert_before(user, helper.make_node("Cast", [moved], [twin], to=UINT8))
        self.converted += 1
        return twin

    def _tied(self, scope: Scope, node: Any) -> None:
        """A table that is read at several places: the others read its twin too, so that it is not kept twice."""
        if node.op_type != "DequantizeLinear" or scope.element(node.input[0]) != INT8:
            return
        root = _source(scope, node.input[0])
        if root is not None and root in self.shifted:
            self._shift(scope, node, DEQUANTIZED)
            self.nodes -= 1  # it was right as it was

    def _drop_unused(self) -> None:
        """Remove what has a twin and is read by nobody any more, the last readers first."""
        gone = self._unread()
        while gone:
            for body in [scope.body for scope in self.scopes]:
                for node in [n for n in body.node if n.output and gone.issuperset(name for name in n.output if name)]:
                    body.node.remove(node)
                for tensor in [t for t in body.initializer if t.name in gone]:
                    body.initializer.remove(tensor)
                for value in [v for v in body.value_info if v.name in gone]:
                    body.value_info.remove(value)
            self.shifted -= gone
            gone = self._unread()

    def _unread(self) -> set[str]:
        read = {name for scope in self.scopes for node in scope.body.node for name in node.input}
        return self.shifted - read - {output.name for scope in self.scopes for output in scope.body.output}

    def _fresh(self, name: str) -> str:
        """A name that nothing in the model has yet."""
        candidate, count = name, 0
        while candidate in self.names:
            count += 1
            candidate = f"{name}_{count}"
        self.names.add(candidate)
        return candidate


def _at_risk(scope: Scope, name: str) -> bool:
    """Whether a factor is INT8 and can make sums that are cut off; what is no constant can."""
    if scope.element(name) != INT8:
        return False
    root = _source(scope, name)
    tensor = scope.tensor(root) if root is not None else None
    return tensor is None or quantised.may_saturate(tensor)


def _source(scope: Scope, name: str) -> str | None:
    """The constant that a value is a rearrangement of, or None."""
    for _ in range(quantised.LONGEST):
        home = scope.home(name)
        if home is None:
            return None
        if name in home.tensors:
            return name
        node = home.producers.get(name)
        if node is None or MOVING.get(node.op_type) != 0 or not node.input:
            return None
        scope, name = home, node.input[0]
    return None


def _moves(scope: Scope, node: Any) -> bool:
    """Whether an operator hands on elements that are all INT8."""
    if node.op_type not in MOVING or graph.normal(node.domain):
        return False
    names = node.input if MOVING[node.op_type] is None else node.input[:1]
    return bool(names) and all(scope.element(name) == INT8 for name in names)


def _float_activations(node: Any) -> bool:
    if node.op_type != "MatMulNBits" or graph.normal(node.domain) != MICROSOFT:
        return False
    if quantised.attribute(node, "accuracy_level", 0) <= FLOAT_ACTIVATIONS:
        return False
    for entry in node.attribute:
        if entry.name == "accuracy_level":
            entry.i = FLOAT_ACTIVATIONS
    return True


def _copy(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    copy.name = f"{node.name}/uint8" if node.name else ""
    return copy


def _names(model: Any) -> set[str]:
    names: set[str] = set()
    for body in graph.bodies(model):
        names |= {value.name for value in (*getattr(body, "initializer", ()), *getattr(body, "value_info", ()))}
        names |= {name for node in body.node for name in (*node.input, *node.output)}
        names |= {value if isinstance(value, str) else value.name for value in (*body.input, *body.output)}
    return names
