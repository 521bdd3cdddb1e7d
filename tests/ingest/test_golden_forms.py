"""Golden sets of all forms that models have: scalars, answers with rows of their own, text, booleans, NaN, nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from shared.ingest.verdict import Limits, Verdict
from shared.runtime import onnx, samples
from tests.ingest import corpus
from tests.ingest.conftest import Gate
from tests.ingest.test_golden import WEIGHT, X, Y, npz
from tests.support import identity, linear

NAN = np.float32(np.nan)


def scaled(rows: int | str = "N") -> bytes:
    """y = x · t, a scalar, of which u is a copy; most is the largest of y."""
    nodes = [
        helper.make_node("Mul", ["x", "t"], ["y"]),
        helper.make_node("Identity", ["t"], ["u"]),
        helper.make_node("ReduceMax", ["y"], ["most"], keepdims=0),
    ]
    outputs = [corpus.value("y", [rows, 2]), corpus.value("u", []), corpus.value("most", [])]
    return corpus.model(nodes, [corpus.value("x", [rows, 2]), corpus.value("t", [])], outputs)


def above_two() -> bytes:
    """boxes: the places, [K, 2], of what is above 2."""
    nodes = [
        helper.make_node("Greater", ["x", "two"], ["large"]),
        helper.make_node("NonZero", ["large"], ["places"]),
        helper.make_node("Transpose", ["places"], ["boxes"]),
    ]
    outputs = [corpus.value("boxes", ["K", 2], TensorProto.INT64)]
    return corpus.model(nodes, [corpus.value("x", ["N", 2])], outputs, [corpus.scalar("two", 2, np.float32)])


def replayed(verdict: Verdict, model: bytes) -> list[samples.Sample]:
    """The samples that are stored with the version; each answers on the model what it did."""
    assert verdict.samples is not None
    stored = samples.decode(verdict.samples)
    assert samples.replay(onnx.load(model), stored, 10.0) is None
    return stored


def test_scalars(gate: Gate) -> None:
    golden = npz(input__x=X, input__t=np.float32(2), output__y=2 * X, output__u=np.float32(2), output__most=12.0)
    verdict = gate(scaled(), **{"golden.npz": golden})
    assert verdict.accepted, verdict.reason
    assert verdict.golden == {"cases": 3, "max_abs": 0.0, "passed": True}
    [sample] = [one for one in replayed(verdict, scaled()) if one.tolerance]
    assert sample.inputs["t"].shape == [] and sample.outputs["most"].shape == []
    wrong = npz(input__x=X, input__t=np.float32(2), output__y=2 * X, output__u=np.float32(2), output__most=11.0)
    assert gate(scaled(), **{"golden.npz": wrong}).code == "golden_mismatch"
    of_row = npz(input__x=X, input__t=np.array([2], np.float32), output__y=2 * X)
    assert "input 't' has shape [1]" in gate(scaled(), **{"golden.npz": of_row}).reason


def test_scalars_written_out(gate: Gate) -> None:
    case: dict[str, Any] = {"inputs": {"x": [[1, 2]], "t": 2}, "outputs": {"y": [[2, 4]], "most": 4}}
    verdict = gate(scaled(), {"golden": {"cases": [case]}})
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None and verdict.golden["cases"] == 1


def test_a_fixed_number_of_rows_beside_scalars(gate: Gate) -> None:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    verdict = gate(scaled(2), **{"golden.npz": npz(input__x=x, input__t=np.float32(3), output__y=3 * x)})
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None and verdict.golden["cases"] == 6
    assert [one.inputs["x"].shape for one in replayed(verdict, scaled(2)) if one.tolerance] == [[2, 2]]
    summed = npz(input__x=x, input__t=np.float32(3), output__most=33.0)
    refused = gate(scaled(2), **{"golden.npz": summed})
    assert (refused.code, "do not run" in refused.reason) == ("golden_invalid", True)


def test_answers_with_rows_of_their_own(gate: Gate) -> None:
    """Three rows, four places above 2; none above it, of rows that have values: an answer, too."""
    for x in (X, -X):
        golden = npz(input__x=x, output__boxes=np.argwhere(x > 2))
        verdict = gate(above_two(), **{"golden.npz": golden})
        assert verdict.accepted, verdict.reason
        assert verdict.golden == {"cases": 1, "max_abs": 0.0, "passed": True}
        assert any(one.tolerance for one in replayed(verdict, above_two()))
    other = npz(input__x=X, output__boxes=np.argwhere(X > 3))
    assert gate(above_two(), **{"golden.npz": other}).code == "golden_mismatch"


def test_inputs_of_different_length(gate: Gate) -> None:
    nodes = [helper.make_node("Concat", ["a", "b"], ["y"], axis=0)]
    model = corpus.model(nodes, [corpus.value("a", ["N"]), corpus.value("b", ["M"])], [corpus.value("y", ["K"])])
    a, b = np.ones(3, np.float32), np.full(2, 2, np.float32)
    golden = npz(input__a=a, input__b=b, output__y=np.concatenate([a, b]))
    verdict = gate(model, **{"golden.npz": golden})
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None and verdict.golden["cases"] == 1
    replayed(verdict, model)


@pytest.mark.parametrize("dtype", ["U", "S", "U9", "S9"])
def test_text_of_any_width(gate: Gate, dtype: str) -> None:
    words = np.array(["a", "", "länger", "日本"], "U")
    if dtype.startswith("S"):
        words = np.char.encode(words, "utf-8")
    golden = npz(input__x=words.astype(dtype), output__y=words)
    verdict = gate(identity(TensorProto.STRING, ["N"]), **{"golden.npz": golden})
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None and verdict.golden["cases"] == 4
    replayed(verdict, identity(TensorProto.STRING, ["N"]))


def test_text_that_is_none(gate: Gate) -> None:
    words = np.array([b"a", b"\xff"])
    verdict = gate(identity(TensorProto.STRING, ["N"]), **{"golden.npz": npz(input__x=words, output__y=words)})
    assert verdict.code == "golden_invalid" and "golden.npz, input 'x' at [1]" in verdict.reason
    scalar = npz(input__x=np.array("a"), output__y=np.array("a"))
    assert gate(identity(TensorProto.STRING, []), **{"golden.npz": scalar}).accepted


def test_booleans(gate: Gate) -> None:
    model = identity(TensorProto.BOOL, ["N"])
    truths = np.array([True, False])
    assert gate(model, **{"golden.npz": npz(input__x=truths, output__y=truths)}).accepted
    assert gate(model, **{"golden.npz": npz(input__x=truths.astype(int), output__y=truths)}).accepted
    assert gate(model, **{"golden.npz": npz(input__x=truths, output__y=~truths)}).code == "golden_mismatch"
    verdict = gate(model, **{"golden.npz": npz(input__x=np.array([1, 2]), output__y=truths)})
    assert verdict.code == "golden_invalid" and "at [1]: 2 is neither true nor false" in verdict.reason


def test_nan_where_the_model_gives_it(gate: Gate) -> None:
    gaps = X.copy()
    gaps[1, 0] = NAN
    verdict = gate(linear(WEIGHT), **{"golden.npz": npz(input__x=gaps, output__y=gaps @ np.array(WEIGHT, np.float32))})
    assert verdict.accepted, verdict.reason
    assert verdict.golden == {"cases": 3, "max_abs": 0.0, "passed": True}
    replayed(verdict, linear(WEIGHT))
    filled = gate(linear(WEIGHT), **{"golden.npz": npz(input__x=gaps, output__y=Y)})
    assert (filled.code, "other values" in filled.reason) == ("golden_mismatch", True)


INEXACT = [
    ("INT64", [1.7], "golden case 0, input 'x' at [0]: 1.7 is no whole number"),
    ("INT64", [2**63], "at [0]"),
    ("INT64", [True], "true is a boolean"),
    ("FP32", ["3"], "'3' is text"),
    ("FP32", [1, 1e300], "golden case 0, input 'x' at [1]: 1e+300 is outside"),
    ("FP32", [None], "null is no value"),
    ("BOOL", [2.5], "2.5 is a number"),
]
ELEMENTS = {"INT64": TensorProto.INT64, "FP32": TensorProto.FLOAT, "BOOL": TensorProto.BOOL}


@pytest.mark.parametrize(("datatype", "values", "words"), INEXACT)
def test_numbers_are_exact_or_refused(gate: Gate, datatype: str, values: list[Any], words: str) -> None:
    case = {"inputs": {"x": values}, "outputs": {"y": values}}
    verdict = gate(identity(ELEMENTS[datatype], ["N"]), {"golden": {"cases": [case]}})
    assert verdict.code == "golden_invalid" and words in verdict.reason, verdict.reason


def test_an_array_of_another_type_is_exact_or_refused(gate: Gate) -> None:
    numbers = npz(input__x=np.array([1, 2**40]), output__y=np.array([1, 2]))
    verdict = gate(identity(TensorProto.INT32, ["N"]), **{"golden.npz": numbers})
    assert verdict.code == "golden_invalid" and "input 'x' at [1]: 1099511627776 is outside" in verdict.reason
    fitting = npz(input__x=np.array([1, 255]), output__y=np.array([1.0, 255.0]))
    assert gate(identity(TensorProto.UINT8, ["N"]), **{"golden.npz": fitting}).accepted


def test_what_was_accepted_once_stays_so(gate: Gate) -> None:
    """A recheck must not take a version away whose cases were rounded when it was accepted."""
    case = {"inputs": {"x": [1.7]}, "outputs": {"y": [1]}}
    declared = {"golden": {"cases": [case]}}
    assert gate(identity(TensorProto.INT64, ["N"]), declared, Limits(any_tolerance=True)).accepted
    assert not gate(identity(TensorProto.INT64, ["N"]), declared).accepted
