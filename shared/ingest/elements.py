"""Inference of element types: which type of numbers every tensor of a graph holds, from the operators' own schemas.

ONNX's shape inference would say more, but it needs a copy of the model, and says nothing of model-local functions.
None stands for an unknown type: of an operator without a schema here, or in a function that is called with several
types. Types are numbers of TensorProto.DataType.
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from onnx import AttributeProto, TensorProto, defs

from shared.ingest import graph
from shared.ingest.emptiness import Facts
from shared.runtime.datatypes import TABLE

Types = ChainMap[str, int | None]  # by name; the innermost graph's first
Visit = Callable[[Any, Facts, Types, int], None]
FunctionKey = tuple[str, str]  # domain and name, as a calling node has them

# by the names in schemas
ELEMENTS = {datatype.runtime.removeprefix("tensor(").removesuffix(")"): datatype.onnx for datatype in TABLE}
# Attributes that name the output's type where the schema leaves it open.
TYPE_ATTRIBUTES = ("to", "dtype", "output_datatype", "output_dtype")
# Their output has the type of their first input: operators without a schema here, and those on sequences, whose schemas
# know no relation between a sequence's type and its elements'.
SAME_AS_FIRST = frozenset(
    "SequenceConstruct SequenceInsert SequenceAt SequenceErase ConcatFromSequence SplitToSequence Optional "  # noqa: SIM905
    "OptionalGetElement ExpandDims FusedConv FusedGemm FusedMatMul TransposeMatMul Trilu MatMulNBits Gelu".split()
)
# Operators of ONNX Runtime, without a schema here: index of the zero point of their output, which has its type.
ZERO_POINTS = {
    "QuantizeLinear": 2,
    "QLinearConv": 7,
    "QGemm": 8,
    "QLinearAdd": 7,
    "QLinearMul": 7,
    "QLinearConcat": 1,
    "QLinearWhere": 8,
    "QLinearAveragePool": 4,
    "QLinearGlobalAveragePool": 4,
    "QLinearLeakyRelu": 4,
    "QLinearReduceMean": 4,
    "QLinearSigmoid": 4,
    "QLinearSoftmax": 4,
}
# Operators with graphs: the attribute with the graph whose outputs are theirs, and the first one of those that is.
BODIES = {"If": ("then_branch", 0), "Loop": ("body", 1), "Scan": ("body", 0), "SequenceMap": ("body", 0)}


class Walk:
    """Visits a model's graphs and functions, with the types of all names in each."""

    def __init__(self, model: Any) -> None:
        self._functions = {(graph.normal(f.domain), f.name): f for f in model.functions}
        self._model = model
        self._arguments: dict[FunctionKey, list[int | None]] = {}
        self._results: dict[tuple[FunctionKey, tuple[int | None, ...]], list[int | None]] = {}

    def through(self, visit: Visit) -> None:
        """Visit inner graphs before the ones around them, and functions after their callers.

        visit: called with a body (a graph or function), facts about its values, the types of its names, and the
        standard's opset. It may change the body's nodes.
        """
        opsets = opsets_of(self._model)
        self._body(self._model.graph, ChainMap(), opsets, visit, None)
        # only its callers tell what a function's arguments are
        for key in self._callers_first():
            function = self._functions[key]
            arguments = ChainMap(dict(zip(function.input, self._arguments.get(key, []), strict=False)))
            self._body(function, arguments, opsets_of(function), visit, None)

    def _callers_first(self) -> list[FunctionKey]:
        """All functions, callers before what they call. The scan has refused functions that call themselves."""
        calls = {key: self._calls(function) for key, function in self._functions.items()}
        callers = Counter(callee for callees in calls.values() for callee in callees)
        ready, ordered = [key for key in calls if not callers[key]], []
        while ready:
            key = ready.pop()
            ordered.append(key)
            for callee in calls[key]:
                callers[callee] -= 1
                if not callers[callee]:
                    ready.append(callee)
        return ordered

    def _calls(self, function: Any) -> set[FunctionKey]:
        nodes = (node for body in graph.nested(function) for node in body.node)
        return {(graph.normal(node.domain), node.op_type) for node in nodes} & self._functions.keys()

    def _body(
        self, body: Any, outer: Types, opsets: Mapping[str, int], visit: Visit | None, around: Facts | None
    ) -> Types:
        """The types of a graph's or function's names. visit: None while only a function's results are asked for."""
        types = outer.new_child()
        facts = Facts(body, around) if visit else None
        is_graph = hasattr(body, "initializer")  # a function's inputs are plain names
        for value in body.input if is_graph else ():
            types[value.name] = declared(value)
        types.update((tensor.name, tensor.data_type) for tensor in getattr(body, "initializer", ()))
        described = (*getattr(body, "value_info", ()), *(body.output if is_graph else ()))
        stated = {value.name: declared(value) for value in described}
        for node in body.node:
            for name, element in zip(node.output, self._outputs(node, types, opsets, visit, facts), strict=False):
                types[name] = element or stated.get(name)
        if visit and facts:
            visit(body, facts, types, opsets.get("", 0))
        return types

    def _outputs(
        self, node: Any, types: Types, opsets: Mapping[str, int], visit: Visit | None, around: Facts | None
    ) -> list[int | None]:
        results = {
            attribute.name: self._graph_outputs(inner, types, opsets, visit, around)
            for attribute in node.attribute
            for inner in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
        }
        inputs = [types.get(name) for name in node.input]
        if node.op_type in BODIES and not graph.normal(node.domain):
            name, first = BODIES[node.op_type]
            return results.get(name, [])[first:]
        key = (graph.normal(node.domain), node.op_type)
        if key in self._functions:
            return self._function_outputs(key, inputs, record=visit is not None)
        return output_types(node, inputs, opsets)

    def _graph_outputs(
        self, body: Any, outer: Types, opsets: Mapping[str, int], visit: Visit | None, around: Facts | None
    ) -> list[int | None]:
        types = self._body(body, outer, opsets, visit, around)
        return [types.get(value.name) for value in body.output]

    def _function_outputs(self, key: FunctionKey, inputs: list[int | None], *, record: bool) -> list[int | None]:
        """record: the call is one of the model's own, whose argument types count when the function is visited."""
        function = self._functions[key]
        if record:
            earlier = self._arguments.setdefault(key, list(inputs))
            self._arguments[key] = [a if a == b else None for a, b in zip(earlier, inputs, strict=False)]
        call = (key, tuple(inputs))
        if call not in self._results:
            arguments = ChainMap(dict(zip(function.input, inputs, strict=False)))
            types = self._body(function, arguments, opsets_of(function), None, None)
            self._results[call] = [types.get(name) for name in function.output]
        return self._results[call]


def opsets_of(part: Any) -> dict[str, int]:
    """Versions of operators by domain, as a model or function imports them."""
    return {graph.normal(entry.domain): entry.version for entry in part.opset_import}


def declared(value: Any) -> int | None:
    """The type that a ValueInfoProto states; of a sequence or an optional, that of its elements."""
    kind = value.type
    while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
        kind = getattr(kind, kind.WhichOneof("value")).elem_type
    return kind.tensor_type.elem_type or None if kind.HasField("tensor_type") else None


def output_types(node: Any, inputs: Sequence[int | None], opsets: Mapping[str, int]) -> list[int | None]:
    """The types of an operator's outputs, from those of its inputs. Graphs in attributes are not looked at."""
    count, domain = len(node.output), graph.normal(node.domain)
    if node.op_type in SAME_AS_FIRST:
        return [inputs[0] if inputs else None] * count
    from_attribute = _attribute_type(node)
    signature = _signature(domain, node.op_type, opsets.get(domain, 1))
    if signature is None:
        return [from_attribute or _zero_point_type(node, inputs)] * count
    bound = {
        rule.variable: element
        for rule, element in zip(_repeat_last(signature.inputs, len(inputs)), inputs, strict=False)
        if element
    }
    rules = _repeat_last(signature.outputs, count)
    types = [rule.single or from_attribute or bound.get(rule.variable) for rule in rules]
    if node.op_type == "QuantizeLinear" and types == [None]:  # its zero point, bound above, may be missing
        return [_zero_point_type(node, inputs)]
    return types


class Rule(NamedTuple):
    """Of one input or output. variable: its type by a name that inputs and outputs share. single: its only type."""

    variable: str
    single: int | None


class Signature(NamedTuple):
    inputs: list[Rule]
    outputs: list[Rule]


@cache
def _signature(domain: str, name: str, version: int) -> Signature | None:
    try:
        schema = defs.get_schema(name, version, domain)
    except defs.SchemaError:
        return None
    return Signature(*([_rule(parameter) for parameter in side] for side in (schema.inputs, schema.outputs)))


def _rule(parameter: Any) -> Rule:
    types = list(parameter.types)
    match = re.fullmatch(r"tensor\((\w+)\)", types[0] if len(types) == 1 else parameter.type_str)
    return Rule(parameter.type_str, ELEMENTS.get(match[1]) if match else None)


def _repeat_last(rules: list[Rule], count: int) -> list[Rule]:
    """Rules for `count` parameters: the last one of a variadic operator stands for all that follow."""
    return [rules[min(index, len(rules) - 1)] for index in range(count)] if rules else []


def _zero_point_type(node: Any, inputs: Sequence[int | None]) -> int | None:
    index = ZERO_POINTS.get(node.op_type)
    if index is not None and index < len(node.input) and node.input[index]:
        return inputs[index]
    return int(TensorProto.UINT8) if node.op_type == "QuantizeLinear" else None


def _attribute_type(node: Any) -> int | None:
    for attribute in node.attribute:
        if attribute.name in TYPE_ATTRIBUTES and attribute.type == AttributeProto.INT:
            return attribute.i or None
        if attribute.name == "value" and attribute.type == AttributeProto.TENSOR:
            return attribute.t.data_type or None
        if node.op_type == "Constant" and attribute.name in ("value_int", "value_ints"):
            return int(TensorProto.INT64)
        if node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            return int(TensorProto.FLOAT)
    return int(TensorProto.FLOAT) if node.op_type in ("ConstantOfShape", "RandomNormal", "RandomUniform") else None
