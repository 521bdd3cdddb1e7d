"""Tensors in, tensors out, as plain nested JSON lists: `{"inputs": {name: values}}` → `{"outputs": {name: values}}`.

The short form of the protocol's infer call: types come from the model, shapes from the nesting.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from shared import json_faults
from shared.errors import BadInput, Unsupported
from shared.package.manifest import Tensor
from shared.serving import protocol
from shared.serving.inputs.request import Inputs, Options
from shared.serving.loaded import Loaded
from shared.serving.tasks.base import Task

NO_OPTIONS = Options()


class Body(msgspec.Struct):
    inputs: dict[str, Any]


class Tensors(Task):
    def read(self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
        """One item: the arrays by the names of the model's inputs. Raises BadInput naming the one that does not fit."""
        if content_type and "json" not in content_type:
            raise Unsupported(f"model {loaded.name!r} takes application/json for /predict, not {content_type[:80]!r}")
        try:
            values = msgspec.json.decode(body, type=Body).inputs
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            why = json_faults.reason(body, error)
            raise BadInput(f'the body must be JSON like {{"inputs": {{"x": [[1.0, 2.0]]}}}}: {why}') from error
        arrays = _arrays(values, loaded.manifest.inputs, loaded.manifest.optional)
        return Inputs([arrays], False, NO_OPTIONS)

    def per_run(self, loaded: Loaded) -> int:
        return 1

    def answer(self, loaded: Loaded, items: list[dict[str, np.ndarray]], options: Options) -> list[dict[str, Any]]:
        """`{"outputs": {name: values}}`."""
        outputs = zip(loaded.manifest.outputs, loaded.session.run(None, items[0]), strict=True)
        return [{"outputs": {tensor.name: protocol.nested(array) for tensor, array in outputs}}]


def _arrays(values: dict[str, Any], signature: list[Tensor], optional: list[Tensor]) -> dict[str, np.ndarray]:
    tensors = {tensor.name: tensor for tensor in (*signature, *optional)}
    if not {tensor.name for tensor in signature} <= set(values) <= set(tensors):
        raise BadInput(f"the inputs are {sorted(values)}, the model takes {sorted(tensors)}")
    arrays = {}
    for name, nested in values.items():
        arrays[name] = protocol.to_array(name, nested, tensors[name].datatype, None)
        protocol.check_shape(name, list(arrays[name].shape), tensors[name].shape)
    return arrays


TASK = Tensors()
