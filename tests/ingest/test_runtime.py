"""Sessions: what they tell of a model, and how they refuse what it cannot take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from shared.errors import BadInput
from shared.runtime import arrays
from shared.runtime.datatypes import TABLE, Datatype
from shared.runtime.onnx import Unloadable, load, rewrite
from tests.ingest import corpus
from tests.support import identity, linear

ROOT = Path(__file__).parents[2]


def test_signature_and_answer() -> None:
    session = load(linear([[1.0, 2.0]]))
    assert [(s.name, s.datatype, s.shape) for s in session.inputs] == [("x", "FP32", [-1, 1])]
    assert session.run(["y"], {"x": np.array([[3]], np.float32)})[0].tolist() == [[3.0, 6.0]]


@pytest.mark.parametrize("datatype", TABLE, ids=lambda datatype: datatype.name)
def test_every_datatype_goes_in_and_out(datatype: Datatype) -> None:
    session = load(identity(datatype.onnx, ["N"]))
    assert session.inputs[0].datatype == session.outputs[0].datatype == datatype.name
    values = np.array(["a", "ü"], object) if datatype.kind == "text" else np.array([1, 0]).astype(datatype.computed)
    [answer] = session.run(None, {"x": arrays.to_stored(values, datatype.name)})
    assert arrays.computable(answer).tolist() == values.tolist()


@pytest.mark.parametrize("array", [np.array([b"caf\xc3\xa9"], object), np.array(["café"]), np.array([b"caf\xc3\xa9"])])
def test_text_comes_in_several_forms(array: np.ndarray) -> None:
    assert load(identity(TensorProto.STRING, ["N"])).run(None, {"x": array})[0].tolist() == ["café"]


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "takes"),
        ({"x": np.zeros((1, 2), np.float32), "z": np.zeros(1)}, "'z'"),
        ({"x": np.zeros(2, np.float32)}, "shape"),
        ({"x": np.zeros((1, 2), np.float64)}, "FP32"),
        ({"x": np.zeros((1, 3), np.float32)}, "cannot run"),
    ],
)
def test_a_bad_feed_is_the_callers_fault(feeds: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(linear([[1.0], [2.0]])).run(None, feeds)


def test_other_refusals() -> None:
    with pytest.raises(BadInput, match="no output"):
        load(linear([[1.0]])).run(["nope"], {"x": np.zeros((1, 1), np.float32)})
    with pytest.raises(BadInput, match="UTF-8"):
        load(identity(TensorProto.STRING, ["N"])).run(None, {"x": np.array([b"\xff"], object)})
    with pytest.raises(Unloadable, match="cannot load"):
        load(b"nonsense")
    with pytest.raises(Unloadable):
        rewrite(corpus.malformed.input_from_nowhere())


def test_serving_needs_no_onnx_package() -> None:
    """The package that parses untrusted files stays out of the inference function, and out of the gate's caller."""
    code = (
        "import sys, shared.runtime.onnx\nassert 'onnx' not in sys.modules\n"
        "import shared.ingest.supervisor\nassert 'onnx' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    code = "import sys, shared.ingest.supervisor\nassert not {'onnx', 'onnxruntime', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
