"""Cells of a table: gaps, categories, scaling, the target's column, decimal commas; and what packages may declare."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput
from shared.package import manifest as manifests
from shared.package.manifest import Tensor
from shared.package.table import Column, Csv, Table
from shared.serving.inputs import tables
from shared.values import cells, declared
from shared.values.table import Reader

X = [Tensor("x", "FP32", [-1, -1])]


def codes(column: Column, *values: Any) -> list[float]:
    reader = Reader(Table(columns=[column]))
    return reader.feeds(reader.rows([[value] for value in values]), X)["x"][:, 0].tolist()


def test_categories_that_are_numbers() -> None:
    numbers = Column(name="c", type="category", categories=[1, 2, 2.5], unknown=-1)
    assert codes(numbers, 1, 2.0, "2", "2.0", "2e0", 2.5, "2.50", "02") == [0, 1, 1, 1, 1, 2, 2, 1]
    assert codes(numbers, True, "true", "x", 3, "1e999") == [-1] * 5
    texts = Column(name="c", type="category", categories=["02", "2", "true"], unknown=-1)
    assert codes(texts, "02", "2", 2, 2.0, True, "2.0", "True") == [0, 1, 1, 1, 2, -1, -1]
    floats_as_text = Column(name="c", type="category", categories=["1.0", "2.0"], unknown=-1)
    assert codes(floats_as_text, 1, 2.0, "1") == [0, 1, -1]
    truths = Column(name="c", type="category", categories=[False, True], unknown=-1)
    assert codes(truths, False, True, "true", "False", "TRUE", 1, "1") == [0, 1, 1, 0, 1, -1, -1]
    large = Column(name="c", type="category", categories=[2**53, 2**53 + 1])
    assert codes(large, 2**53, 2**53 + 1, str(2**53 + 1)) == [0, 1, 1]


def test_numbers_take_booleans_where_that_is_declared() -> None:
    lenient, strict = Column(name="c", booleans=True, missing="nan"), Column(name="c")
    assert codes(lenient, True, False, "True", "false", " TRUE ", 1, "0", 0.5) == [1, 0, 1, 0, 1, 1, 0, 0.5]
    assert codes(Column(name="c", booleans=True, missing=True), None, False) == [1, 0]
    assert codes(Column(name="c", booleans=True, mean=0.5, std=0.5), True, False) == [1, -1]
    assert np.isnan(codes(lenient, None, "", "NaN")).all()
    for value in ("yes", "t", "2 true"):
        with pytest.raises(BadInput, match="row 0: 'c' is a number, not"):
            codes(lenient, value)
    for value in (True, False, "True", "false"):
        with pytest.raises(BadInput, match=r"row 0: 'c' is a number, not .*: send 1 or 0, or have the package declare"):
            codes(strict, value)


def test_booleans_reach_integers_and_are_no_numbers_with_a_decimal_sign() -> None:
    plan = Table(columns=[Column(name="a", booleans=True), Column(name="b")], csv=Csv(delimiter=";", decimal=","))
    rows = tables.parse_csv(b"a;b\nTrue;1,5\n0;2\n", plan)
    assert Reader(plan).feeds(rows, X)["x"].tolist() == [[1, 1.5], [0, 2]]
    with pytest.raises(BadInput, match="row 0: 'b' is a number, not 'True'"):
        Reader(plan).feeds(tables.parse_csv(b"a;b\nTrue;True\n", plan), X)
    whole = Reader(Table(columns=[Column(name="a", booleans=True)])).feeds(
        [{"a": True}], [Tensor("x", "INT64", [-1, 1])]
    )
    assert whole["x"].tolist() == [[1]]


def test_categories_are_kept_as_they_were_written() -> None:
    described = {
        "task": "tabular",
        "preprocess": {"columns": [{"name": "a", "type": "category", "categories": [1, 2.0, "3", True]}]},
    }
    kept = manifests.decode(manifests.encode(manifests.decode(json.dumps(described).encode())))
    assert kept.preprocess is not None
    assert [(type(one), one) for one in kept.preprocess.columns[0].categories] == [
        (int, 1),
        (float, 2.0),
        (str, "3"),
        (bool, True),
    ]


def test_values_of_no_kind() -> None:
    for column in (Column(name="c", type="category", categories=["a"]), Column(name="c", type="text")):
        for value in ([1], {"a": 1}):
            reader = Reader(Table(columns=[column]))
            with pytest.raises(BadInput, match="row 1: 'c' is"):
                reader.feeds(reader.rows([["a"], [value]]), [Tensor("x", "BYTES", [-1, 1])])


def test_gaps() -> None:
    filled = Column(name="c", missing=7)
    assert codes(filled, None, "", float("nan"), "nan", " NaN ") == [7] * 5
    for value in ("NA", "?", "null", " "):
        with pytest.raises(BadInput, match="is a number"):
            codes(filled, value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"n": 1, "plan": "a"}, {"n": 1}], "row 1 lacks column 'plan', and"),
        ([{"n": 1, "plan": None}], "row 0: 'plan' is null, which is a gap, and"),
        ([{"n": 1, "plan": ""}], "row 0: 'plan' is '', which is a gap"),
        ([{"n": 1, "plan": "?"}], "row 0: 'plan' is '\\?', which is a gap"),
        ([[1, None]], "row 0: 'plan' is null, which is a gap"),
        ([{"plan": "a"}], "row 0 lacks column 'n', and"),
        ([{"n": "nan", "plan": "a"}], "row 0: 'n' is 'nan', which is a gap"),
        ([{"n": None, "plan": "a"}], "row 0: 'n' is null, which is a gap"),
    ],
)
def test_a_gap_without_a_substitute_is_no_absent_column(rows: list[Any], said: str) -> None:
    reader = Reader(
        Table(columns=[Column(name="n"), Column(name="plan", type="category", categories=["a"])], gaps=["?"])
    )
    with pytest.raises(BadInput, match=said) as refused:
        reader.feeds(reader.rows(rows), X)
    assert "send a value, or have the package declare `missing` for the column" in str(refused.value)


def test_words_that_stand_for_a_gap() -> None:
    plan = Table(
        columns=[Column(name="c", missing=7), Column(name="t", type="category", categories=["a"], missing="a")],
        gaps=["NA", "?"],
    )
    reader = Reader(plan)
    assert reader.feeds(reader.rows([["NA", "?"], [1, "a"]]), X)["x"].tolist() == [[7, 0], [1, 0]]


def test_nan_reaches_a_model_that_takes_it_for_a_gap() -> None:
    assert np.isnan(codes(Column(name="c", missing="nan"), None, "")).all()
    reader = Reader(Table(columns=[Column(name="c", missing="nan")]))
    with pytest.raises(BadInput, match="no whole number"):
        reader.feeds([{"c": None}], [Tensor("x", "INT64", [-1, 1])])


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64"])
def test_scaling_that_no_number_can_hold(datatype: str) -> None:
    """The model was handed an infinity that nobody had sent."""
    reader = Reader(Table(columns=[Column(name="c", mean=10.0, std=1e-4)]))
    with pytest.raises(BadInput, match=r"row 1, column 'c': 1e\+308 is beyond all numbers when it is scaled by"):
        reader.feeds([{"c": 10}, {"c": 1e308}], [Tensor("x", datatype, [-1, 1])])


def test_scaling_that_an_integer_cannot_hold() -> None:
    reader = Reader(Table(columns=[Column(name="c", mean=1.0, std=2.0)]))
    assert reader.feeds([{"c": 5}], [Tensor("x", "INT64", [-1, 1])])["x"].tolist() == [[2]]
    with pytest.raises(BadInput, match=r"row 0, column 'c': 0.5 is no whole number"):
        reader.feeds([{"c": 2}], [Tensor("x", "INT64", [-1, 1])])
    unknown = Column(name="c", type="category", categories=["a"], unknown=-1)
    with pytest.raises(BadInput, match=r"row 1, column 'c'.*outside the range of UINT8"):
        Reader(Table(columns=[unknown])).feeds([{"c": "a"}, {"c": "b"}], [Tensor("x", "UINT8", [-1, 1])])


def test_the_target_is_not_looked_at() -> None:
    plan = Table(columns=[Column(name="a")], target="y")
    reader = Reader(plan)
    assert reader.feeds(reader.rows([{"a": 1, "y": "yes"}, {"a": 2}]), X)["x"].tolist() == [[1], [2]]
    assert tables.parse_csv(b"y,a\nno,1\n", plan) == [{"y": "no", "a": "1"}]
    with pytest.raises(BadInput, match="which the model lacks"):
        reader.rows([{"a": 1, "z": 1}])


def test_decimal_commas_where_they_are_declared() -> None:
    plan = Table(columns=[Column(name="a"), Column(name="t", type="text")], csv=Csv(delimiter=";", decimal=","))
    assert tables.parse_csv(b"a;t\n1,5;x,y\n-2;z\n", plan) == [{"a": 1.5, "t": "x,y"}, {"a": -2, "t": "z"}]
    with pytest.raises(BadInput, match="row 0: 'a' is a number whose decimal sign is ','"):
        tables.parse_csv(b"a;t\n1.5;x\n", plan)
    plain = Table(columns=[Column(name="a")])
    with pytest.raises(BadInput, match="declare decimal"):
        Reader(plain).feeds([{"a": "1,5"}], X)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Table(columns=[Column(name="a", type="category", categories=[1, 1.0])]), "one category twice: 1 and 1.0"),
        (Table(columns=[Column(name="a", type="category", categories=["a", "a"])]), "one category twice"),
        (Table(columns=[Column(name="a", missing="abc")]), 'write a number or "nan"'),
        (Table(columns=[Column(name="a", missing=True)]), 'write a number or "nan"'),
        (Table(columns=[Column(name="a", type="text", booleans=True)]), "only numbers take them"),
        (Table(columns=[Column(name="a"), Column(name="a")]), "declared more than once"),
        (Table(columns=[Column(name="a")], target="a"), "target 'a' is one of the columns"),
        (Table(columns=[Column(name="a")], csv=Csv(decimal=",")), "comma between fields and before fractions"),
    ],
)
def test_what_a_package_cannot_declare(plan: Table, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        declared.check(plan)


def test_what_a_package_can_declare() -> None:
    columns = [Column(name="a", missing="nan"), Column(name="b", missing=2), Column(name="c", missing="2")]
    declared.check(Table(columns=[*columns, Column(name="d", type="category", categories=["1", 1, True])]))
    declared.check(Table(columns=[Column(name="a", booleans=True, missing=True)]))
    declared.check(None)


def test_a_package_that_says_nothing_new_is_stored_as_before() -> None:
    described = {"name": "m", "task": "tabular", "preprocess": {"columns": [{"name": "a"}]}}
    stored = json.loads(manifests.encode(manifests.decode(json.dumps(described).encode())))
    assert set(stored["preprocess"]) == {"kind", "columns", "reference"}
    assert stored["preprocess"]["columns"] == [{"name": "a"}]


def test_spellings() -> None:
    assert cells.text(True) == "true" and cells.text(2.0) == "2.0" and cells.text(2) == "2"
    with pytest.raises(ValueError, match="is text"):
        cells.text(None)


def test_accents_that_are_other_characters_are_told_of() -> None:
    """A column or a category that looks just like one of the model's, and is none."""
    composed, apart = "caf\u00e9", "cafe\u0301"
    for ours, sent, form in ((composed, apart, "NFC"), (apart, composed, "NFD")):
        reader = Reader(Table(columns=[Column(name=ours, type="category", categories=[ours])]))
        with pytest.raises(BadInput, match=rf"which the model lacks.*; '{sent}' looks like one.*: send it in {form}$"):
            reader.rows([{sent: ours}])
        with pytest.raises(BadInput, match=rf"is no category of.*; '{sent}' looks like one.*: send it in {form}$"):
            reader.feeds([{ours: sent}], [Tensor("x", "FP32", [-1, 1])])
        with pytest.raises(BadInput, match=r"is no category of 'caf.+': \['caf.+'\]$"):
            reader.feeds([{ours: "th\u00e9"}], [Tensor("x", "FP32", [-1, 1])])


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_a_row_whose_only_column_names_several_is_told_of_the_delimiter(sign: str, name: str) -> None:
    reader = Reader(Table(columns=[Column(name="a"), Column(name="b")]))
    with pytest.raises(BadInput, match=f"which the model lacks.*: say delimiter={name} if that stands between"):
        reader.rows([{f"a{sign}b": f"1{sign}2"}])
    with pytest.raises(BadInput, match=r"it takes \['a', 'b'\]$"):
        reader.rows([{"c": 1}])
