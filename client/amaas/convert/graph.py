"""The graph that is pushed: one output, and codes instead of categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, utils

from amaas.convert.columns import NONE_OF_THEM, Column, Columns

OUTPUT = "scores"
LOCALE = "C.UTF-8"  # every glibc has it; ONNX Runtime's own default, en_US.UTF-8, is not there on servers


def with_one_output(model: Any, classes: int) -> Any:
    """The model with its scores of classes alone, as [N, classes], or its values if there are none; converters put the
    label first. Nodes that only other outputs need are gone.
    """
    kept = model.graph.output[1 if classes else 0].name
    alone = utils.Extractor(model).extract_model([one.name for one in model.graph.input], [kept])
    alone.graph.node.append(helper.make_node("Identity", [kept], [OUTPUT]))
    alone.graph.output[0].name = OUTPUT
    if classes:  # some converters say another width
        alone.graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, classes]))
    if not any(opset.domain == "" for opset in alone.opset_import):
        alone.opset_import.append(helper.make_opsetid("", 13))
    return alone


def name_inputs(model: Any, names: list[str]) -> None:
    """Gives the inputs the columns' own names, which skl2onnx makes identifiers of."""
    if len(model.graph.input) != len(names):
        return
    own = {one.name: name for one, name in zip(model.graph.input, names, strict=True)}
    for one in model.graph.input:
        one.name = own[one.name]
    for node in model.graph.node:
        node.input[:] = [own.get(name, name) for name in node.input]


def with_codes(model: Any, columns: Columns) -> Any:
    """The same model, which takes the codes of categories: it looks up the values that its first nodes compare."""
    graph = model.graph
    inputs = {one.name: one for one in graph.input}
    looked_up = []
    for column in columns.each:
        if column.kind != "category" or column.name not in inputs:
            continue
        code, table = columns.input_of(column), f"{column.name}_categories"
        graph.initializer.append(numpy_helper.from_array(values_of(column), table))
        looked_up.append(helper.make_node("Gather", [table, code], [column.name], axis=0))
        graph.input.remove(inputs[column.name])
        graph.input.append(helper.make_tensor_value_info(code, TensorProto.INT64, [None, 1]))
    nodes = [*looked_up, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def values_of(column: Column) -> np.ndarray:
    """The values that codes stand for, with one behind them for what is no category, if such are answered."""
    if all(isinstance(one, str) for one in column.categories):
        return np.array(column.categories + [NONE_OF_THEM] * column.unknown, np.object_)
    whole = all(float(one).is_integer() for one in column.categories)
    numbers = [*column.categories, max(column.categories) + 1] if column.unknown else column.categories
    return np.array(numbers, np.int64 if whole else np.float32)


def set_locale(model: Any) -> None:
    """For nodes that make letters small."""
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [one for one in node.attribute if one.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("locale", LOCALE)])
