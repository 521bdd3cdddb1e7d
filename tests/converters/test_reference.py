"""A converted table has reference rows that are made up: the service explains a prediction against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pytest
from amaas.api import package
from amaas.convert import packages, reference
from amaas.convert.original import Original

from shared.package import manifest
from shared.serving.tasks import explain
from tests.converters import models
from tests.serving import packages as serving

TABLES = [name for name in models.MODELS if name != "texts"]


def converted(model: Any, folder: Path, examples: Path | None = None) -> dict[str, Path]:
    joblib.dump(model, folder / "model.pkl")
    files, _ = packages.of_a_model(folder / "model.pkl", folder, examples)
    return {name: Path(path) for name, path in files.items()}


def explained(files: dict[str, Path], row: dict[str, Any]) -> dict[str, Any]:
    read = manifest.decode(files["amaas.json"].read_bytes(), check_names=True)
    described = {name: getattr(read, name) for name in ("task", "labels", "preprocess", "postprocess")}
    content = {"reference.csv": files["reference.csv"].read_bytes()}
    loaded = serving.loaded(files["model.onnx"].read_bytes(), files=content, **described)
    answer = explain(loaded, json.dumps({"input": row}).encode(), "application/json", {"samples": "8"})
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("name", TABLES)
def test_its_predictions_are_explained(tmp_path: Path, name: str) -> None:
    files = converted(models.MODELS[name](), tmp_path)
    typical = pandas.read_csv(files["reference.csv"], dtype=str, keep_default_na=False)
    assert len(typical) == 50 and (typical != "").all(axis=None)
    told = explained(files, typical.iloc[0].to_dict())
    shares = [one["attribution"] for one in told["attributions"]]
    assert told["score"] == pytest.approx(told["base"] + sum(shares), abs=1e-3) and np.isfinite(shares).all()
    assert [one["column"] for one in told["attributions"]] == list(typical.columns)


def test_no_row_of_the_user_s_is_in_it(tmp_path: Path) -> None:
    models.GAPS.to_csv(tmp_path / "rows.csv", index=False)
    files = converted(models.SKLEARN["filled"](), tmp_path, tmp_path / "rows.csv")
    with_examples = files["reference.csv"].read_bytes()
    typical = pandas.read_csv(files["reference.csv"])
    given = models.GAPS[list(typical.columns)]
    assert not set(map(tuple, given.to_numpy().tolist())) & set(map(tuple, typical.to_numpy().tolist()))
    assert converted(models.SKLEARN["filled"](), tmp_path)["reference.csv"].read_bytes() == with_examples


def test_names_and_categories_of_any_characters(tmp_path: Path) -> None:
    rows = pandas.DataFrame({'a,"b"': [1.0, 2.0, 3.0, 4.0], "kind": ["x,y", 'say "no"', "line\rend", "x,y"]})
    first = models.ColumnTransformer([("kinds", models.OneHotEncoder(), ["kind"])], remainder="passthrough")
    model = models.make_pipeline(first, models.LogisticRegression()).fit(rows, [0, 1, 0, 1])
    told = explained(converted(model, tmp_path), {'a,"b"': 2, "kind": "line\rend"})
    assert [one["column"] for one in told["attributions"]] == ['a,"b"', "kind"]


def test_without_rows_that_the_graph_answers_there_are_none(tmp_path: Path) -> None:
    class Silent:
        """A session whose answers are no numbers, or none."""

        def __init__(self, value: float | None) -> None:
            self.value = value

        def run(self, names: Any, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
            if self.value is None:
                raise RuntimeError("no such row")
            return [np.full((50, 2), self.value)]

    original: Original = packages.model_files.scikit.original(models.SKLEARN["ridge"]())
    for value in (None, float("nan"), float("inf")):
        assert reference.write(tmp_path, original, Silent(value)) is None
    assert reference.write(tmp_path, original, Silent(0.5)) == tmp_path / "reference.csv"


def test_a_folder_s_own_preprocess_leaves_it_out(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    files = converted(models.SKLEARN["ridge"](), tmp_path / "made")
    own = tmp_path / "own"
    own.mkdir()
    (own / "amaas.json").write_text(json.dumps({"preprocess": {"columns": [{"name": "a"}, {"name": "b"}]}}))
    kept = package._of_converted(own, files, tmp_path)
    assert set(kept) == {"model.onnx", "amaas.json", "golden.npz"}
    (own / "amaas.json").write_text(json.dumps({"name": "mine"}))
    assert set(package._of_converted(own, files, tmp_path)) == {*kept, "reference.csv"}
