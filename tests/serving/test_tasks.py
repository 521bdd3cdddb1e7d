"""One table of tasks: what is in it is there, whatever is there is in it, and a new one needs nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest

from shared.errors import NotImplemented_
from shared.package import manifest, processing
from shared.package.manifest import Manifest
from shared.package.speech import Transcription
from shared.package.table import Column, Table
from shared.package.tasks import TASKS, TENSOR
from shared.package.tasks import Task as Declared
from shared.serving import tasks
from shared.serving.inputs import tables
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.tasks.base import Task
from tests.serving import packages
from tests.support import linear

ROOT = Path(__file__).parents[2]
AB = Table(columns=[Column(name="a"), Column(name="b")], reference="reference.csv")
REFERENCE = {"reference.csv": b"a,b\n0,0\n"}


def complete(name: str) -> Manifest:
    """A manifest that has what its task requires."""
    required = TASKS[name].required
    after = Transcription(start=0, end=0, no_timestamps=0) if "postprocess" in required else None
    return Manifest(task=name, preprocess=AB if required else None, postprocess=after)


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_its_module_and_does_what_the_table_says(name: str) -> None:
    task = tasks.of(complete(name))
    assert Task in type(task).__mro__
    assert type(task).__module__ == f"shared.serving.tasks.{name.replace('-', '_')}"
    assert (type(task).explain is not Task.explain) is TASKS[name].explained
    assert (type(task).read is Task.read) <= bool(TASKS[name].preprocess), "what takes tensors reads them itself"


def test_no_module_is_without_its_line() -> None:
    support = {"__init__", "base"}
    modules = {path.stem for path in (ROOT / "shared" / "serving" / "tasks").glob("*.py")} - support
    assert modules == {name.replace("-", "_") for name in TASKS}


def test_the_kinds_are_those_that_can_be_declared() -> None:
    for member, union in (("preprocess", processing.Before), ("postprocess", processing.After)):
        kinds = {kind.__struct_config__.tag for kind in get_args(union)}
        assert {kind for task in TASKS.values() for kind in getattr(task, member)} == kinds


def test_the_page_of_models_lists_the_same_tasks() -> None:
    [table] = re.findall(r"\n\| `task` \|.*?\n\n", (ROOT / "docs" / "models.md").read_text(), re.DOTALL)
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)[1:] == list(TASKS)


def test_a_package_without_what_its_task_requires_is_served_in_tensors() -> None:
    bare = Manifest(task="tabular")
    assert (bare.served_task, bare.input_kind, tasks.in_own_terms(bare)) == (TENSOR, None, False)
    columns = Manifest(task="tabular", preprocess=AB)
    assert (columns.served_task, columns.input_kind, tasks.in_own_terms(columns)) == ("tabular", "table", True)


def test_a_version_of_another_release_keeps_its_tensors() -> None:
    """Its manifest is read, since /infer needs no task; only what its task means is not known here."""
    stored = manifest.decode(b'{"task": "text-to-image", "inputs": [], "preprocess": {"kind": "text"}}')
    assert (stored.task, tasks.in_own_terms(stored)) == ("text-to-image", False)
    model = packages.loaded(linear([[1.0]]), task="text-to-image")
    for call in (tasks.predict, tasks.explain):
        with pytest.raises(NotImplemented_, match=r"does not know the task 'text-to-image': POST tensors to /v2/"):
            call(model, b"{}", "application/json", {})


class Extremes(Task):
    """The least and the greatest of a row: all that a new task has to say."""

    def answer(self, loaded: Loaded, items: list[tables.Row], options: Options) -> list[dict[str, Any]]:
        feeds = tables.feeds(loaded, tables.rows(items, AB), AB)
        [values] = loaded.session.run(["y"], feeds)
        return [{"least": float(row.min()), "greatest": float(row.max())} for row in values]


def test_a_new_task_is_one_module_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("shared.serving.tasks.row_extremes")
    module.TASK = Extremes()  # type: ignore[attr-defined]  # as the module would have it
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(TASKS, "row-extremes", Declared(("table",), required=("preprocess",)))
    body = b'{"task": "row-extremes", "preprocess": {"columns": [{"name": "a"}, {"name": "b"}]}}'
    described = manifest.decode(body, check_names=True)
    assert (described.served_task, described.input_kind) == ("row-extremes", "table")
    model = packages.loaded(linear([[1.0, -1.0], [2.0, 0.0]]), task="row-extremes", preprocess=AB, files=REFERENCE)
    answer = tasks.predict(model, b'{"input": [1, 2]}', "application/json", {})
    assert answer == {"model": "m", "version": 7, "least": -1.0, "greatest": 5.0}
    [example] = tasks.of(model.manifest).examples(model, {})
    assert tasks.predict(model, example.body, example.content_type, {})["results"] == [{"least": 0.0, "greatest": 0.0}]
    with pytest.raises(NotImplemented_, match="no method to explain 'row-extremes'"):
        tasks.explain(model, b'{"input": [1, 2]}', "application/json", {})


def regression(weights: list[list[float]], **described: Any) -> Loaded:
    return packages.loaded(linear(weights), task="tabular-regression", preprocess=AB, files=REFERENCE, **described)


@pytest.mark.parametrize(("weights", "value"), [([[1.0], [10.0]], 21.0), ([[1.0, 0.5], [10.0, 0.0]], [21.0, 0.5])])
def test_a_regression_answers_with_values_whatever_their_number(weights: list[list[float]], value: Any) -> None:
    model = regression(weights, labels=["y"] * len(weights[0]))
    assert tasks.predict(model, b"a,b\n1,2\n", "text/csv", {})["results"] == [{"value": value}]
    explanation = tasks.explain(model, b'{"input": [1, 2]}', "application/json", {"label": "0"})
    assert isinstance(explanation, dict)
    assert [part["attribution"] for part in explanation["attributions"]] == pytest.approx([1.0, 20.0])
    assert (explanation["score"], explanation["base"]) == (pytest.approx(21.0), 0.0)


def test_a_regression_has_one_label_per_value_or_none() -> None:
    model = regression([[1.0, 0.5], [10.0, 0.0]])
    feeds = {"x": np.zeros((3, 2), np.float32)}
    outputs = {"y": model.session.run(["y"], feeds)[0]}
    assert tasks.of(model.manifest).classes(model, outputs, 3) == range(2, 3)
