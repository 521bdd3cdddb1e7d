"""The portable form of quantized models: it gives the same answers on every processor.

On processors without VNNI (AVX2, AVX-512), ONNX Runtime multiplies unsigned activations with signed weights by an
instruction that adds pairs of products in 16 bits: large sums are cut off, silently. Unsigned weights take another
instruction, which cannot overflow. So where sums could be cut off, the INT8 weights w with zero point z become UINT8:
w + 128 with zero point z + 128, which stands for the same numbers. Weights that are small enough (7 bits), and
operators whose activations are signed, stay as they are.

Weight-only forms keep float activations: at accuracy level 4, MatMulNBits would round them to 8 bits on processors
with a kernel for that, and not on others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, inliner, numpy_helper

from shared.ingest import graph, quantized
from shared.ingest.quantized import FUSED, INT8, MOVING, UINT8, Scope
from shared.runtime.products import MICROSOFT, Operand

OFFSET = 128
DEQUANTIZED = Operand(0, 2, 1)  # of QuantizeLinear and DequantizeLinear
FLOAT_ACTIVATIONS = 1  # accuracy_level: 0 = up to the runtime, 1 = FP32, 4 = INT8


def rewrite(model: Any) -> list[str]:
    """Change the model in place. Returns the changes, in words; none if the model is portable as it is."""
    return keep_float_activations(model) + make_unsigned(model)


def keep_float_activations(model: Any) -> list[str]:
    """The part for weight-only forms, which every processor needs. Changes and returns as `rewrite` does."""
    # a function's values have no types, and its weights may differ from call to call: inlined, they have both
    if any(_has_integers(function) for function in model.functions):
        model.CopyFrom(inliner.inline_local_functions(model))
    switched = sum(_switch_to_float(node) for body in graph.bodies(model) for node in body.node)
    if not switched:
        return []
    return [f"{switched} MatMulNBits: activations stay floats, as on processors without an 8-bit kernel"]


def make_unsigned(model: Any) -> list[str]:
    """The part for products of 8-bit numbers, after `keep_float_activations`. Changes and returns as `rewrite` does.

    Needed on processors that sum in 16 bits; on those that sum in 32 bits (VNNI) signed weights are exact too, and much
    faster.
    """
    if not _has_integers(model.graph):
        return []
    return _Rewriting(model).run()


def _has_integers(body: Any) -> bool:
    """Whether a graph or function, or a graph within it, has operators on quantized values."""
    return any(
        quantized.product(node) or node.op_type in quantized.QDQ or node.op_type == "MatMulNBits"
        for inner in graph.nested(body)
        for node in inner.node
    )


class _Rewriting:
    """The rewriting of one model."""

    def __init__(self, model: Any) -> None:
        self.scopes = quantized.scopes(model)
        self.names = _names(model)
        self.twins: dict[tuple[int, str], str] = {}  # (id of the scope that defines a name, name) → its UINT8 twin
        self.shifted: set[str] = set()  # names with a twin: removed in the end if nothing reads them any more
        self.nodes = 0
        self.converted = 0

    def run(self) -> list[str]:
        """Change the model; returns the changes, in words."""
        for scope, node in self._nodes():
            self._rewrite_product(scope, node)
        for scope, node in self._nodes() if self.shifted else ():
            self._shift_tied(scope, node)
        self._drop_unused()
        changes = []
        if self.nodes:
            changes.append(f"{self.nodes} integer operators: INT8 weights made UINT8, whose sums no processor cuts off")
        if self.converted:
            changes.append(f"{self.converted} of their inputs are not constants: converted to UINT8 in each call")
        return changes

    def _nodes(self) -> list[tuple[Scope, Any]]:
        return [(scope, node) for scope in self.scopes for node in scope.body.node]

    def _rewrite_product(self, scope: Scope, node: Any) -> None:
        product = quantized.product(node)
        if product is not None:
            signed = product.activations is not None and quantized.factor(scope, node, product.activations) == INT8
            for operand in () if signed else product.weights:
                if _may_be_cut_off(scope, node.input[operand.tensor]):
                    self._shift(scope, node, operand)
        elif node.op_type in FUSED and len(node.input) > 1:
            left, right = (quantized.dequantizer(scope, name) for name in node.input[:2])
            if left and right:
                for home, source in (left, right):
                    # the left factor may be the constant one too, as in weights × activations
                    constant = source is right[1] or home.tensor(source.input[0])
                    if constant and _may_be_cut_off(home, source.input[0]):
                        self._shift(home, source, DEQUANTIZED)

    def _shift(self, scope: Scope, node: Any, operand: Operand) -> None:
        """Have an operator read the twin of a factor, with the zero point that belongs to it."""
        node.input[operand.tensor] = self._unsigned(scope, node, node.input[operand.tensor])
        while len(node.input) <= operand.zero:
            node.input.append("")
        name = node.input[operand.zero]
        node.input[operand.zero] = self._unsigned(scope, node, name) if name else self._zero(scope, node, operand)
        self.nodes += 1

    def _zero(self, scope: Scope, node: Any, operand: Operand) -> str:
        """A zero point of 128 where there is none, which means 0: one number, or one for each scale."""
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
        """The UINT8 twin of a tensor: the INT8 one plus 128, created on first use. user: what reads it, in `scope`."""
        home = scope.home(name)
        assert home is not None  # its element type is known, so a scope defines it
        if (id(home), name) in self.twins:
            return self.twins[id(home), name]
        tensor, node = home.tensors.get(name), home.producers.get(name)
        if tensor is not None:
            twin = self._fresh(f"{name}/uint8")
            home.add(twin, numpy_helper.to_array(tensor).view(np.uint8) ^ np.uint8(OFFSET))
        elif node is not None and node.op_type == "QuantizeLinear":
            twin = self._twin_of_quantizer(home, node)
        elif node is not None and _moves(home, node):
            return self._twin_of_moving(home, node, name)
        else:
            return self._convert(scope, user, name)
        self.twins[id(home), name] = twin
        self.shifted.add(name)
        return twin

    def _twin_of_quantizer(self, scope: Scope, node: Any) -> str:
        """A copy of a QuantizeLinear whose output is UINT8."""
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

    def _twin_of_moving(self, scope: Scope, node: Any, name: str) -> str:
        """A copy of an operator that passes elements on, over the twins of its inputs."""
        copy = _copy(node)
        for index in range(len(node.input)) if MOVING[node.op_type] is None else (0,):
            copy.input[index] = self._unsigned(scope, node, node.input[index])
        for index, output in enumerate(node.output):
            copy.output[index] = self._fresh(f"{output}/uint8") if output else ""
            self.twins[id(scope), output] = copy.output[index]
            self.shifted.add(output)
        scope.insert_after(node, copy)
        return self.twins[id(scope), name]

    def _convert(self, scope: Scope, user: Any, name: str) -> str:
        """The twin of a value that is computed in each call: INT8 → INT32 → + 128 → UINT8, in front of its user."""
        wide, shifted, twin = (self._fresh(f"{name}/{suffix}") for suffix in ("int32", "shifted", "uint8"))
        offset = self._fresh(f"{name}/offset")
        scope.add(offset, np.array(OFFSET, np.int32))
        scope.insert_before(user, helper.make_node("Cast", [name], [wide], to=TensorProto.INT32))
        scope.insert_before(user, helper.make_node("Add", [wide, offset], [shifted]))
        scope.insert_before(user, helper.make_node("Cast", [shifted], [twin], to=UINT8))
        self.converted += 1
        return twin

    def _shift_tied(self, scope: Scope, node: Any) -> None:
        """Have the other readers of a table that has a twin read the twin too: the table is then stored once."""
        if node.op_type != "DequantizeLinear" or scope.element(node.input[0]) != INT8:
            return
        root = _source(scope, node.input[0])
        if root is not None and root in self.shifted:
            self._shift(scope, node, DEQUANTIZED)
            self.nodes -= 1  # not counted: this operator was exact before

    def _drop_unused(self) -> None:
        """Remove what has a twin and no reader any more, from the last operator of a chain backwards."""
        unread = self._unread()
        while unread:
            for body in [scope.body for scope in self.scopes]:
                for node in [n for n in body.node if n.output and unread.issuperset(name for name in n.output if name)]:
                    body.node.remove(node)
                for tensor in [t for t in body.initializer if t.name in unread]:
                    body.initializer.remove(tensor)
                for value in [v for v in body.value_info if v.name in unread]:
                    body.value_info.remove(value)
            self.shifted -= unread
            unread = self._unread()

    def _unread(self) -> set[str]:
        read = {name for scope in self.scopes for node in scope.body.node for name in node.input}
        return self.shifted - read - {output.name for scope in self.scopes for output in scope.body.output}

    def _fresh(self, name: str) -> str:
        """A name that is not used in the model."""
        unused, count = name, 0
        while unused in self.names:
            count += 1
            unused = f"{name}_{count}"
        self.names.add(unused)
        return unused


def _may_be_cut_off(scope: Scope, name: str) -> bool:
    """Whether a factor is INT8, and large enough for sums to be cut off: any value that is not a constant may be."""
    if scope.element(name) != INT8:
        return False
    root = _source(scope, name)
    tensor = scope.tensor(root) if root is not None else None
    return tensor is None or quantized.may_saturate(tensor)


def _source(scope: Scope, name: str) -> str | None:
    """The constant that a value is a rearrangement of, or None."""
    for _ in range(quantized.MAX_CHAIN):
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
    """Whether an operator passes elements on, all of them INT8."""
    if node.op_type not in MOVING or graph.normal(node.domain):
        return False
    names = node.input if MOVING[node.op_type] is None else node.input[:1]
    return bool(names) and all(scope.element(name) == INT8 for name in names)


def _switch_to_float(node: Any) -> bool:
    """Whether the operator was changed."""
    if node.op_type != "MatMulNBits" or graph.normal(node.domain) != MICROSOFT:
        return False
    if quantized.attribute(node, "accuracy_level", 0) <= FLOAT_ACTIVATIONS:
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
