"""A table or a row of pandas is a call's input as it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from amaas import AmaasError
from amaas.api import inputs

TABLE = pd.DataFrame(
    {"age": [22, 2**53 + 1], "plan": ["free", None], "pay": [1.5, np.nan], "old": [True, False]},
    index=["x", "y"],
)


def said(value: Any, task: str = "tabular") -> Any:
    body = inputs.body(value, None, lambda: {"parameters": {"task": task}})
    assert body.content_type == "application/json"
    return json.loads(body.content)


def test_rows_by_name_with_gaps_and_whole_numbers() -> None:
    first = {"age": 22, "plan": "free", "pay": 1.5, "old": True}
    second = {"age": 2**53 + 1, "plan": None, "pay": None, "old": False}
    assert said(TABLE) == {"inputs": [first, second]}
    assert said(TABLE.iloc[0]) == {"input": first}
    assert said(TABLE.convert_dtypes())["inputs"][1] == second
    assert said(TABLE.astype({"plan": "category"}))["inputs"][0] == first


def test_other_tasks_take_none() -> None:
    with pytest.raises(AmaasError, match="a model of the task tensor takes no DataFrame"):
        said(TABLE, "tensor")


def test_texts_of_a_series_are_a_list() -> None:
    assert said(pd.Series(["one", "two"]), "text-classification") == {"inputs": ["one", "two"]}


def test_gaps_in_rows_that_are_no_table() -> None:
    assert said([pd.NA, 1]) == {"input": [None, 1]}
    assert said({"a": pd.NaT, "b": 1}) == {"input": {"a": None, "b": 1}}
    assert said([TABLE.iloc[0], TABLE.iloc[1]])["inputs"][1]["plan"] is None


def test_a_column_that_is_there_twice_is_refused() -> None:
    twice = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    with pytest.raises(AmaasError, match="the table has several columns 'a': give each its own name"):
        said(twice)
