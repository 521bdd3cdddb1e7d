"""How a table's columns are described: scaled numbers, categories, gaps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shared import budget
from training.data import dataset as data
from training.errors import TrainingError
from training.kinds import choose as kinds
from training.kinds.tables import Tables
from training.settings import check

from .test_kinds import BUNDLED, chosen


def test_columns_are_described_by_the_training_rows_alone() -> None:
    rows = [{"n": 1.0, "c": "x"}, {"n": 3.0, "c": None}, {"n": None, "c": "y"}, {"n": 8.0, "c": "x"}]
    values = np.array(rows, object)
    kind = kinds.fit(values, "table", {"columns": ["n", "c"]}, chosen().preparation)
    assert isinstance(kind, Tables)
    number, category = kind.preprocess["columns"]
    assert (number["missing"], number["mean"], round(number["std"], 3)) == (3, 4, 2.944)
    assert category["categories"] == ["x", "y"]
    made = kind.encode(np.array([{"n": None, "c": "z"}, {"n": 4.0, "c": "y"}, {"n": 4.0, "c": None}], object))[
        "features"
    ]
    assert made[:, 1:].tolist() == [[0, 0], [0, 1], [0, 0]]
    assert made[1, 0] == 0
    assert kind.files["reference.csv"].decode().splitlines()[0] == "n,c"
    assert len(kind.files["reference.csv"].decode().splitlines()) == 51
    assert (
        "reference"
        not in kinds.fit(values, "table", {"columns": ["n", "c"]}, chosen("--no-reference-rows").preparation).preprocess
    )


def people(count: int = 400) -> np.ndarray:
    """Rows in which each value of each column is of one person: income and city go together."""
    random = np.random.default_rng(5)
    incomes = np.sort(random.normal(50_000, 9_000, count))
    cities = [f"city-{n * 8 // count}" for n in range(count)]
    return np.array([{"income": float(i), "city": c} for i, c in zip(incomes, cities, strict=True)], object)


def rows_of(kind: Tables) -> list[tuple[str, ...]]:
    return [tuple(line.split(",")) for line in kind.files["reference.csv"].decode().splitlines()[1:]]


def fitted(*options: str) -> Tables:
    kind = kinds.fit(people(), "table", {"columns": ["income", "city"]}, chosen(*options).preparation)
    assert isinstance(kind, Tables)
    return kind


def test_a_package_has_rows_of_the_data_only_when_asked_for() -> None:
    values = people()
    own = {(repr(row["income"]), row["city"]) for row in values}
    assert set(rows_of(fitted("--reference-rows"))) <= own
    made_up = rows_of(fitted())
    assert len(made_up) == 50 and not set(made_up) & own
    assert not {income for income, _ in made_up} & {repr(row["income"]) for row in values}, "nor a number of anybody's"
    incomes = np.array([float(income) for income, _ in made_up])
    truth = np.array([row["income"] for row in values])
    assert abs(np.median(incomes) - np.median(truth)) < 0.05 * truth.std()
    assert truth.min() < incomes.min() and incomes.max() < truth.max(), "whoever has the most is not shown"
    assert {city for _, city in made_up} == {row["city"] for row in values}


def test_more_rows_than_a_call_may_have_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([{"n": float(number), "c": str(number % 9)} for number in range(500)], object)
    kind = kinds.fit(rows, "table", {"columns": ["n", "c"]}, chosen().preparation)
    at_once = kind.encode(rows)["features"]
    monkeypatch.setattr(budget, "_limits", [20_000])
    assert kind.encode(rows)["features"].equal(at_once)


def test_the_golden_set_has_rows_of_the_data_only_when_asked_for() -> None:
    items = people()[:16]
    assert fitted("--reference-rows").disclosed(items) is items
    shown = fitted().disclosed(items)
    assert len(shown) == 16 and list(shown[0]) == ["income", "city"]
    assert not {row["income"] for row in shown} & {row["income"] for row in people()}
    assert fitted().encode(shown)["features"].shape == (16, 9)


@pytest.mark.parametrize("refusing", [["--no-reference-rows"], ["--epsilon", "3", "--clip", "1"]])
def test_rows_are_not_disclosed_where_they_must_not_be(refusing: list[str]) -> None:
    assert "reference" not in fitted(*refusing).preprocess
    with pytest.raises(TrainingError, match="omit one"):
        check(chosen("--reference-rows", *refusing))


@pytest.mark.parametrize("start", [0, 1_700_000_000, -1e12])
@pytest.mark.parametrize("step", [0.001, 1, 7e5])
def test_numbers_far_from_zero_are_centered(start: float, step: float) -> None:
    """Times of one hour were 1.8 deviations away from zero, and a gap among them before all of them."""
    numbers = start + step * np.arange(3600)
    values = np.array(
        [{"time": float(number), "same": start + 0.1} for number in numbers] + [{"time": None, "same": None}]
    )
    kind = kinds.fit(values[:-1], "table", {"columns": ["time", "same"]}, chosen().preparation)
    assert isinstance(kind, Tables) and kind.preprocess["columns"][1]["std"] == 1
    made = kind.encode(values)["features"].double()
    # -1e12 has steps of 0.0001
    assert abs(made[:-1, 0].mean()) < 0.002 and abs(made[:-1, 0].std() - 1) < 0.002
    assert abs(made[-1, 0]) < 0.002 and made[:, 1].abs().max() < 0.002


def test_what_is_near_zero_is_noted_as_the_bundled_table_has_it(tmp_path: Path) -> None:
    described = json.loads((BUNDLED / "wine" / "amaas.json").read_text())
    values, _ = data.load("wine", tmp_path, seed=0).train
    columns = [column["name"] for column in described["preprocess"]["columns"]]
    assert (
        kinds.fit(values, "table", {"columns": columns}, chosen().preparation).preprocess["columns"]
        == described["preprocess"]["columns"]
    )
