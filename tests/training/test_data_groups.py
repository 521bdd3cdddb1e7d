"""What belongs together is in one split."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from training.data import dataset as data
from training.errors import TrainingError


def table(path: Path, groups: dict[str, str], each: int = 5) -> Path:
    """Rows of a CSV, `each` of a group: a number that is all different, the group, its class."""
    rows = [
        (index * each + n, group, label) for index, (group, label) in enumerate(groups.items()) for n in range(each)
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("value", "patient", "ill"), *rows])
    return path


PATIENTS = {f"p{n}": "yes" if n % 3 else "no" for n in range(60)}


def patients(part: data.Split, each: int = 5) -> set[int]:
    return {int(row["value"]) // each for row in part[0]}


def test_no_group_is_in_two_splits(tmp_path: Path) -> None:
    loaded = data.load(str(table(tmp_path / "t.csv", PATIENTS)), tmp_path, seed=1, group="patient")
    assert loaded.details["columns"] == ["value"]
    parts = [patients(part) for part in (loaded.train, loaded.validation, loaded.test)]
    assert sum(map(len, parts)) == 60 == len(set.union(*parts))
    assert [np.bincount(part[1]).tolist() for part in (loaded.validation, loaded.test)] == [[5, 15], [15, 30]]


def test_without_groups_they_would_be() -> None:
    labels = np.repeat([0, 1], 50)
    (_, _), (second, _) = data.stratified(np.arange(100), labels, 0.1, 0)
    assert len({int(value) // 5 for value in second}) > 2
    groups = np.array([f"g{n // 5}" for n in range(100)])
    (_, _), (second, _) = data.stratified(np.arange(100), labels, 0.1, 0, groups)
    assert len({int(value) // 5 for value in second}) == 2


def test_groups_of_several_classes_and_of_all_sizes() -> None:
    random = np.random.default_rng(5)
    groups, labels = random.geometric(0.05, 2000).astype(str), random.integers(0, 3, 2000)
    (first, _), (second, second_labels) = data.stratified(np.arange(2000), labels, 0.15, 2, groups)
    assert not set(groups[first]) & set(groups[second])
    np.testing.assert_allclose(np.bincount(second_labels), np.bincount(labels) * 0.15, rtol=0.15)


def test_a_class_that_is_rare_gets_a_group() -> None:
    labels = np.array([0] * 100 + [1] * 20)
    groups = np.array([f"a{n}" for n in range(100)] + ["b"] * 12 + ["c"] * 8)
    (_, first), (_, second) = data.stratified(np.arange(120), labels, 0.1, 0, groups)
    assert np.bincount(first).tolist() == [90, 12] and np.bincount(second).tolist() == [10, 8]


def test_a_class_in_one_group_is_an_error(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"a": "yes", "b": "no", "c": "no", "d": "no"})
    with pytest.raises(TrainingError, match="needs items in several groups"):
        data.load(str(file), tmp_path, seed=0, group="patient")


def test_a_test_split_of_its_own_takes_its_groups_out_of_training(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    table(folder / "train.csv", PATIENTS)
    table(folder / "test.csv", {name: PATIENTS[name] for name in ("p7", "p9", "p12")}, each=4)
    loaded = data.load(str(folder), tmp_path, seed=0, group="patient")
    told = [line for line in loaded.report if line["reason"] == "of a group in the test set"]
    assert len(told) == 15
    assert {line["detail"] for line in told} <= {"p7", "p9", "p12"} and told[0]["item"].startswith("train.csv:")
    assert not (patients(loaded.train) | patients(loaded.validation)) & {7, 9, 12}


def test_rows_without_a_group_stand_alone(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"": "yes", **PATIENTS}, each=20)
    loaded = data.load(str(file), tmp_path, seed=0, group="patient")
    assert 0 < sum(int(row["value"]) < 20 for row in loaded.train[0]) < 20
    told = [line for line in loaded.report if line["reason"] == "without a group, alone"]
    assert [line["item"] for line in told] == [f"t.csv:{n}" for n in range(2, 22)]
    assert loaded.dropped() == {}


def saved(path: Path, patients: list[object], first: int) -> None:
    columns = {"value": range(first, first + len(patients)), "patient": patients}
    columns["ill"] = [("no", "yes")[n % 2] for n in range(len(patients))]
    parquet.write_table(pyarrow.table(columns), path)


def test_a_group_is_the_same_in_whatever_type_a_file_has_it(tmp_path: Path) -> None:
    """A file with one gap has its whole numbers as floats: all of its patients were in both splits."""
    (tmp_path / "set").mkdir()
    saved(tmp_path / "set" / "train.parquet", [n // 4 for n in range(80)], 0)
    saved(tmp_path / "set" / "test.parquet", [float(n // 2) for n in range(10)] + [float("nan"), None], 100)
    loaded = data.load(str(tmp_path / "set"), tmp_path, seed=0, group="patient")
    assert loaded.dropped() == {"of a group in the test set": 20}
    assert {int(row["value"]) // 4 for part in (loaded.train, loaded.validation) for row in part[0]} == {*range(5, 20)}
    assert [line["item"] for line in loaded.report if "kept" in line] == ["test.parquet:10", "test.parquet:11"]


def test_a_group_is_the_same_as_a_text_too(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    table(tmp_path / "set" / "train.csv", {f"{n}": ("yes", "no")[n % 2] for n in range(20)})
    table(tmp_path / "set" / "test.csv", {"3.0": "no", " 4 ": "yes", "5.0e+00": "no"}, each=4)
    loaded = data.load(str(tmp_path / "set"), tmp_path, seed=0, group="patient")
    assert {line["detail"] for line in loaded.report if "detail" in line} == {"3", "4", "5"}
    assert not (patients(loaded.train) | patients(loaded.validation)) & {3, 4, 5}


def test_groups_that_a_file_rounded_are_an_error(tmp_path: Path) -> None:
    saved(tmp_path / "t.parquet", [2.0**60 + 512 * (n // 4) for n in range(80)], 0)
    with pytest.raises(TrainingError, match=r"'patient' of the groups has 1\.15\d+e\+18, a float, which is rounded"):
        data.load(str(tmp_path / "t.parquet"), tmp_path, seed=0, group="patient")


def test_a_group_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no column .doctor. for the groups.*give --group"):
        data.load(str(table(tmp_path / "t.csv", PATIENTS)), tmp_path, seed=0, group="doctor")
    with pytest.raises(TrainingError, match="omit --group"):
        data.load("wine", tmp_path, seed=0, group="doctor")
