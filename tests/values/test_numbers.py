"""One value, one meaning: through each door exactly the value that was sent, or a refusal that names the place."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import BadInput
from shared.runtime.arrays import computable
from shared.values import numbers
from shared.values.place import in_column, in_input
from tests.values import doors
from tests.values.rules import NO_NUMBERS, NUMBERS, REFUSED, TEXTS

INTEGERS = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
FLOATS = ["FP16", "BF16", "FP32", "FP64"]


@pytest.mark.parametrize("door", [*doors.OF_JSON, *doors.OF_TEXT], ids=lambda door: door.__name__)
@pytest.mark.parametrize(("datatype", "value", "expected"), NUMBERS)
def test_each_door_has_the_same_rules(door: doors.Door, datatype: str, value: Any, expected: Any) -> None:
    if expected is REFUSED:
        with pytest.raises(BadInput):
            door(datatype, value)
    else:
        assert door(datatype, value) == expected


@pytest.mark.parametrize(
    "door", [doors.infer, doors.infer_large, doors.mixed, doors.golden_case], ids=lambda door: door.__name__
)
@pytest.mark.parametrize("datatype", ["INT64", "FP32", "BF16", "UINT8"])
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_none_anywhere(door: doors.Door, datatype: str, value: Any) -> None:
    with pytest.raises(BadInput, match=r"x"):
        door(datatype, value)


@pytest.mark.parametrize("door", [doors.row, doors.listed], ids=lambda door: door.__name__)
@pytest.mark.parametrize("value", [True, "a", {"a": 1}, [1], None, ""])
def test_what_is_no_number_is_none_in_tables(door: doors.Door, value: Any) -> None:
    with pytest.raises(BadInput, match="row 0"):
        door("FP32", value)


@pytest.mark.parametrize(("text", "expected"), TEXTS)
@pytest.mark.parametrize("door", doors.OF_TEXT, ids=lambda door: door.__name__)
def test_text_of_a_cell(door: doors.Door, text: str, expected: Any) -> None:
    cell = f'"{text}"'
    if expected is REFUSED:
        with pytest.raises(BadInput):
            door("FP64", cell)
    else:
        assert door("FP64", cell) == float(expected)


def test_truth_values() -> None:
    assert [doors.infer("BOOL", value) for value in (True, False)] == [True, False]
    assert [doors.row("BOOL", value) for value in (True, 0, 1, "true", "0")] == [True, False, True, True, False]
    assert [doors.csv("BOOL", value) for value in ("TRUE", "false", "1", "0")] == [True, False, True, False]
    for door, value in ((doors.infer, 1), (doors.row, 2.5), (doors.row, 2), (doors.csv, "2"), (doors.csv, "yes")):
        with pytest.raises(BadInput):
            door("BOOL", value)


@given(
    st.sampled_from(INTEGERS), st.lists(st.one_of(st.integers(), st.floats(allow_nan=False)), min_size=1, max_size=4)
)
@example("INT64", [2**53 + 1, 0.0])
@example("UINT64", [2**63, -1])
def test_integers_are_what_was_sent_or_refused(datatype: str, values: list[float]) -> None:
    try:
        array = numbers.from_json(values, datatype, in_input("x"))
    except BadInput:
        bounds = np.iinfo(array_type(datatype))
        assert any(
            not math.isfinite(value)
            or Fraction(value).denominator != 1
            or not bounds.min <= value <= bounds.max
            or (isinstance(value, float) and abs(value) >= numbers.EXACT)
            for value in values
        )
    else:
        assert [int(one) for one in array] == [Fraction(value) for value in values]


@given(st.sampled_from(FLOATS), st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_floats_are_the_nearest_or_refused(datatype: str, value: float) -> None:
    try:
        array = computable(numbers.from_json([value], datatype, in_input("x")))
    except BadInput:
        assert abs(value) > 65_504 if datatype == "FP16" else abs(value) > 3.3e38
    else:
        assert np.isfinite(array).all()
        step = {"FP16": 2**-11, "BF16": 2**-8, "FP32": 2**-23, "FP64": 2**-52}[datatype]
        assert abs(Fraction(float(array[0])) - Fraction(value)) <= Fraction(step) * abs(Fraction(value)) + Fraction(
            1, 2**24
        )


def array_type(datatype: str) -> np.dtype:
    return numbers.COMPUTED[datatype]


def test_places_are_named() -> None:
    for data, datatype, words in (
        ([[1, 2], [3, 300]], "UINT8", r"input 'x' at \[1, 1\]: 300 is outside the range of UINT8 \(0 to 255\)"),
        ([[1.0, 2.5]], "INT64", r"at \[0, 1\]: 2.5 is no whole number, and INT64 takes nothing else"),
        ([1, [2, "a"]], "FP32", r"'a' is text"),
        ([1, 2**70], "INT64", r"at \[1\]: 1180591620717411303424 is outside"),
        ([1e300], "FP32", r"outside the range of FP32 \(-3.40282e\+38 to 3.40282e\+38\)"),
        ([[1], [2, 3]], "FP32", "not a regular array"),
    ):
        with pytest.raises(BadInput, match=words):
            numbers.from_json(data, datatype, in_input("x"))
    with pytest.raises(BadInput, match=r"row 2, column 'age': -1 is outside the range of UINT8"):
        numbers.from_json([1, 2, -1], "UINT8", in_column("age"))


def test_arrays_of_any_type() -> None:
    where = in_input("x")
    assert numbers.cast(np.array([1, 2], np.int64), "UINT8", where).tolist() == [1, 2]
    assert numbers.cast(np.array([1.0, 2.0]), "INT32", where).tolist() == [1, 2]
    assert numbers.cast(np.array(["a", "bc"]), "BYTES", where).tolist() == ["a", "bc"]
    assert numbers.cast(np.array([b"a", "é".encode()]), "BYTES", where).tolist() == ["a", "é"]
    assert np.isnan(numbers.cast(np.array([np.nan]), "FP16", where)).all()
    assert numbers.cast(np.array([np.inf]), "FP16", where).tolist() == [np.inf]
    assert numbers.cast(np.array([True]), "FP32", where).tolist() == [1.0]
    assert numbers.cast(np.empty((0, 3)), "INT64", where).shape == (0, 3)
    for array, datatype in (
        (np.array([2**40]), "INT32"),
        (np.array([1e300]), "FP32"),
        (np.array([np.nan]), "INT64"),
        (np.array([np.inf]), "INT64"),
        (np.array([2**63], np.uint64), "INT64"),
        (np.array([-1]), "UINT64"),
        (np.array([1j]), "FP32"),
        (np.array(["1"]), "FP32"),
        (np.array([1]), "BYTES"),
        (np.array([b"\xff"]), "BYTES"),
        (np.array([2]), "BOOL"),
    ):
        with pytest.raises(BadInput, match="input 'x'"):
            numbers.cast(array, datatype, where)


def test_a_score_that_is_no_number() -> None:
    numbers.require_finite(np.array([1.0, -2.0], np.float32), "score")
    numbers.require_finite(np.array([1, 2]), "score")
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(BadInput, match="score that is no number"):
            numbers.require_finite(np.array([1.0, value]), "score")
