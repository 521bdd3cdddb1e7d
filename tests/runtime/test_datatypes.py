"""One table of datatypes, and all who have names for the same things."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from amaas.api import tensors
from onnx import TensorProto, helper

from shared.errors import BadInput
from shared.package import manifest
from shared.runtime import arrays
from shared.runtime.datatypes import DATATYPES, TABLE, Datatype

EACH = pytest.mark.parametrize("datatype", TABLE, ids=lambda datatype: datatype.name)


def test_no_name_or_number_is_there_twice() -> None:
    for member in ("name", "numpy", "onnx", "runtime"):
        assert len({getattr(datatype, member) for datatype in TABLE}) == len(TABLE)


@EACH
def test_onnx_and_numpy_mean_the_same(datatype: Datatype) -> None:
    """onnx, which serving does without, knows both the element's number and numpy's type for it."""
    name = TensorProto.DataType.Name(datatype.onnx).lower()
    assert datatype.runtime == f"tensor({name})"
    if datatype.numpy == datatype.computed:
        assert helper.tensor_dtype_to_np_dtype(datatype.onnx) == np.dtype(datatype.numpy)


@EACH
def test_sizes_and_kinds_are_numpys(datatype: Datatype) -> None:
    kinds = {"b": "bool", "u": "uint", "i": "int", "f": "float", "O": "text"}
    assert kinds[np.dtype(datatype.computed).kind] == datatype.kind
    assert datatype.size == (0 if datatype.kind == "text" else np.dtype(datatype.numpy).itemsize)


def test_the_client_knows_the_same_datatypes() -> None:
    """It imports nothing of ours. What numpy has no numbers for, it does not send."""
    sent = {datatype.name: datatype.numpy for datatype in TABLE if datatype.numpy == datatype.computed}
    assert sent.pop("BYTES") == "|O"
    assert sent == tensors.DATATYPES


@EACH
def test_values_survive_the_way_to_the_model_and_back(datatype: Datatype) -> None:
    values = np.array(["0", "1"], object) if datatype.kind == "text" else np.array([0, 1]).astype(datatype.computed)
    array = arrays.to_stored(values, datatype.name)
    assert array.dtype == arrays.DTYPES[datatype.name]
    assert arrays.datatype_of(array) == datatype.name
    assert arrays.computable(array).tolist() == values.tolist()


def test_a_package_may_declare_these_and_no_others() -> None:
    for name in DATATYPES:
        described = {"inputs": [{"name": "x", "datatype": name, "shape": [1]}]}
        assert manifest.decode(msgspec.json.encode(described)).inputs[0].datatype == name
    with pytest.raises(BadInput, match="FP8"):
        manifest.decode(b'{"inputs": [{"name": "x", "datatype": "FP8", "shape": [1]}]}')
