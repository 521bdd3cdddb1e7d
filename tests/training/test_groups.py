"""What belongs together is in one split."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from training import data
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


def test_a_group_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no column .doctor. for the groups.*give --group"):
        data.load(str(table(tmp_path / "t.csv", PATIENTS)), tmp_path, seed=0, group="doctor")
    with pytest.raises(TrainingError, match="leave --group away"):
        data.load("wine", tmp_path, seed=0, group="doctor")
