"""What type of elements every tensor of a graph has, from the operators' own schemas.

ONNX's shape inference would say more, but it needs a copy of the model, and says nothing of model-local functions.
None stands for a type that is not known: of an operator without a schema here, or of a function that is called with
several types.
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from onnx import AttributeProto, TensorProto, defs

from shared.ingest import graph
from shared.ingest.emptiness import Facts

Types = ChainMap[str, int | None]  # the innermost graph's first
Visit = Callable[[Any, Facts, Types, int], None]
# A function, to whoever calls it: its domain and its name.
Key = tuple[str, str]

NAMES: dict[str, int] = {
    name: getattr(TensorProto, name.upper())
    for name in (
        "float double float16 bfloat16 bool string int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()  # noqa: SIM905
    )
}
# Attributes that say the type of the output, where the schema leaves it open.
NAMED_BY = ("to", "dtype", "output_datatype", "output_dtype")
# Their output is of their first input's type, though it is a sequence of it, or one of a sequence.
LIKE_THE_FIRST = frozenset(
    "SequenceConstruct SequenceInsert SequenceAt SequenceErase ConcatFromSequence SplitToSequence Optional "  # noqa: SIM905
    "OptionalGetElement ExpandDims FusedConv FusedGemm FusedMatMul TransposeMatMul Trilu MatMulNBits Gelu".split()
)
BODIES = {"If": ("then_branch", 0), "Loop": ("body", 1), "Scan": ("body", 0), "SequenceMap": ("body", 0)}


class Walk:
    """Through a model, graph by graph and function by function, with the types of all that is known at each.

    visit: called with a body (a graph or function), what is known of its values, the types of its names, and the opset
    of the standard's operators. It may change the body's nodes. Functions follow their callers: only these know what
    they are called with.
    """

    def __init__(self, model: Any) -> None:
        self._functions = {(graph.normal(f.domain), f.name): f for f in model.functions}
        self._model = model
        self._arguments: dict[Key, list[int | None]] = {}
        self._results: dict[tuple[Key, tuple[int | None, ...]], list[int | None]] = {}

    def through(self, visit: Visit) -> None:
        opsets = opsets_of(self._model)
        self._body(self._model.graph, ChainMap(), opsets, visit, None)
        for key in self._callers_first():
            function = self._functions[key]
            known = ChainMap(dict(zip(function.input, self._arguments.get(key, []), strict=False)))
            self._body(function, known, opsets_of(function), visit, None)

    def _callers_first(self) -> list[Key]:
        """All functions: none calls itself by way of others, which the scan has refused."""
        calls = {key: self._calls(function) for key, function in self._functions.items()}
        callers = Counter(called for names in calls.values() for called in names)
        ready, ordered = [key for key in calls if not callers[key]], []
        while ready:
            key = ready.pop()
            ordered.append(key)
            for called in calls[key]:
                callers[called] -= 1
                if not callers[called]:
                    ready.append(called)
        return ordered

    def _calls(self, function: Any) -> set[Key]:
        names = ((graph.normal(n.domain), n.op_type) for body in bodies(function) for n in body.node)
        return {name for name in names if name in self._functions}

    def _body(
        self, body: Any, outer: Types, opsets: Mapping[str, int], visit: Visit | None, around: Facts | None
    ) -> Types:
        known = outer.new_child()
        facts = Facts(body, around) if visit else None
        for value in getattr(body, "input", ()) if hasattr(body, "initializer") else ():
            known[value.name] = declared(value)
        known.update((tensor.name, tensor.data_type) for tensor in getattr(body, "initializer", ()))
        described = (*getattr(body, "value_info", ()), *(body.output if hasattr(body, "initializer") else ()))
        stated = {value.name: declared(value) for value in described}
        for node in body.node:
            for name, kind in zip(node.output, self._outputs(node, known, opsets, visit, facts), strict=False):
                known[name] = kind or stated.get(name)
        if visit and facts:
            visit(body, facts, known, opsets.get("", 0))
        return known

    def _outputs(
        self, node: Any, known: Types, opsets: Mapping[str, int], visit: Visit | None, around: Facts | None
    ) -> list[int | None]:
        inner = {
            attribute.name: self._ends(sub, known, opsets, visit, around)
            for attribute in node.attribute
            for sub in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
        }
        inputs = [known.get(name) for name in node.input]
        if node.op_type in BODIES and not graph.normal(node.domain):
            name, first = BODIES[node.op_type]
            return inner.get(name, [])[first:]
        key = (graph.normal(node.domain), node.op_type)
        if key in self._functions:
            return self._called(key, inputs, noted=visit is not None)
        return _by_schema(node, inputs, opsets.get(key[0], 1))

    def _ends(
        self, body: Any, outer: Types, opsets: Mapping[str, int], visit: Visit | None, around: Facts | None
    ) -> list[int | None]:
        known = self._body(body, outer, opsets, visit, around)
        return [known.get(value.name) for value in body.output]

    def _called(self, key: Key, inputs: list[int | None], noted: bool) -> list[int | None]:
        function = self._functions[key]
        if noted:
            before = self._arguments.setdefault(key, list(inputs))
            same = [one if one == other else None for one, other in zip(before, inputs, strict=False)]
            self._arguments[key] = same
        asked = (key, tuple(inputs))
        if asked not in self._results:
            arguments = ChainMap(dict(zip(function.input, inputs, strict=False)))
            known = self._body(function, arguments, opsets_of(function), None, None)
            self._results[asked] = [known.get(name) for name in function.output]
        return self._results[asked]


def opsets_of(part: Any) -> dict[str, int]:
    return {graph.normal(entry.domain): entry.version for entry in part.opset_import}


def bodies(body: Any) -> Iterable[Any]:
    yield body
    for node in body.node:
        for inner in graph.subgraphs(node):
            yield from bodies(inner)


def declared(value: Any) -> int | None:
    """Of a graph's input or output, or a value's description; also of a sequence or an optional of tensors."""
    kind = value.type
    while kind.WhichOneof("value") in ("sequence_type", "optional_type"):
        kind = getattr(kind, kind.WhichOneof("value")).elem_type
    return kind.tensor_type.elem_type or None if kind.HasField("tensor_type") else None


def _by_schema(node: Any, inputs: list[int | None], version: int) -> list[int | None]:
    said = _by_attribute(node)
    count = len(node.output)
    if node.op_type in LIKE_THE_FIRST:
        return [inputs[0] if inputs else None] * count
    rules = _rules(graph.normal(node.domain), node.op_type, version)
    if rules is None:
        return [said] * count
    taken, given = rules
    known = {rule[0]: kind for rule, kind in zip(_stretched(taken, len(inputs)), inputs, strict=False) if kind}
    return [_concrete(rule) or said or known.get(rule[0]) for rule in _stretched(given, count)]


Rule = tuple[str, frozenset[str]]


@cache
def _rules(domain: str, name: str, version: int) -> tuple[list[Rule], list[Rule]] | None:
    """Each input's and output's variable, or type, with the types that it may stand for."""
    try:
        schema = defs.get_schema(name, version, domain)
    except defs.SchemaError:
        return None
    return [(p.type_str, frozenset(p.types)) for p in schema.inputs], [
        (p.type_str, frozenset(p.types)) for p in schema.outputs
    ]


def _stretched(rules: list[Rule], count: int) -> list[Rule]:
    """As many as there are: the last one of a variadic operator stands for all that follow."""
    return [rules[min(index, len(rules) - 1)] for index in range(count)] if rules else []


def _concrete(rule: Rule) -> int | None:
    name, types = rule
    inner = re.fullmatch(r"tensor\((\w+)\)", next(iter(types)) if len(types) == 1 else name)
    return NAMES.get(inner.group(1)) if inner else None


def _by_attribute(node: Any) -> int | None:
    for attribute in node.attribute:
        if attribute.name in NAMED_BY and attribute.type == AttributeProto.INT:
            return attribute.i or None
        if attribute.name == "value" and attribute.type == AttributeProto.TENSOR:
            return attribute.t.data_type or None
        if node.op_type == "Constant" and attribute.name in ("value_int", "value_ints"):
            return int(TensorProto.INT64)
        if node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            return int(TensorProto.FLOAT)
    return int(TensorProto.FLOAT) if node.op_type in ("ConstantOfShape", "RandomNormal", "RandomUniform") else None
