"""Tensors in, tensors out, as plain nested JSON lists: `{"inputs": {name: values}}` → `{"outputs": {name: values}}`.

The short form of the protocol's infer call: types come from the model, shapes from the nesting.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from shared.errors import BadInput, Unsupported
from shared.package.manifest import Tensor
from shared.serving import protocol
from shared.serving.loaded import Loaded


class Body(msgspec.Struct):
    inputs: dict[str, Any]


def predict(loaded: Loaded, body: bytes, content_type: str) -> dict[str, Any]:
    """Run the model once on JSON values. Raises BadInput naming the input that does not fit."""
    if content_type and "json" not in content_type:
        raise Unsupported(f"model {loaded.name!r} takes application/json for /predict, not {content_type[:80]!r}")
    try:
        values = msgspec.json.decode(body, type=Body).inputs
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f'the body must be JSON like {{"inputs": {{"x": [[1.0, 2.0]]}}}}: {error}') from error
    arrays = _arrays(values, loaded.manifest.inputs, loaded.manifest.optional)
    outputs = loaded.session.run(None, arrays)
    named = zip(loaded.session.outputs, outputs, strict=True)
    return {"outputs": {spec.name: protocol.nested(array) for spec, array in named}}


def _arrays(values: dict[str, Any], signature: list[Tensor], optional: list[Tensor]) -> dict[str, np.ndarray]:
    known = {tensor.name: tensor for tensor in (*signature, *optional)}
    if not {tensor.name for tensor in signature} <= set(values) <= set(known):
        raise BadInput(f"the inputs are {sorted(values)}, the model takes {sorted(known)}")
    arrays = {}
    for name, given in values.items():
        arrays[name] = protocol.to_array(name, given, known[name].datatype, None)
        protocol.check_shape(name, list(arrays[name].shape), known[name].shape)
    return arrays
