"""Columns of true and false: the table that trained a model predicts, however it is sent, and others stay strict."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas
import pytest
import xgboost
from amaas.api import inputs
from amaas.convert import packages
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from shared.errors import BadInput
from shared.jobs.batch.rows import build_request
from shared.package import manifest
from shared.serving.loaded import Loaded
from shared.serving.tasks import explain, predict
from shared.values import csvfile, declared
from tests.converters import models
from tests.serving import packages as serving

ROWS = 20
FRAME = pandas.DataFrame({"age": models.CUSTOMERS.age, "active": models.RANDOM.random(models.ROWS) > 0.4})
STAYS = np.where((FRAME.age > 40) ^ FRAME.active, "stays", "leaves")
GAPS = FRAME.assign(active=FRAME.active.astype("boolean").where(FRAME.index % 7 > 0))


def by_column(step: Any) -> ColumnTransformer:
    return ColumnTransformer([("age", StandardScaler(), ["age"]), ("active", step, ["active"])])


def fitted(*steps: Any, frame: pandas.DataFrame = FRAME) -> Any:
    return make_pipeline(*steps).fit(frame, STAYS)


# each: the table that it was trained on, and makes the model
MODELS: dict[str, tuple[pandas.DataFrame, Callable[[], Any]]] = {
    "passed through": (FRAME, lambda: fitted(by_column("passthrough"), LogisticRegression())),
    "passed to trees": (FRAME, lambda: fitted(by_column("passthrough"), RandomForestClassifier(5))),
    "scaled": (FRAME, lambda: fitted(StandardScaler(), LogisticRegression())),
    "scaled to 0 and 1": (FRAME, lambda: fitted(MinMaxScaler(), LogisticRegression())),
    "scaled by quantiles": (FRAME, lambda: fitted(RobustScaler(), LogisticRegression())),
    "scaled by the largest": (FRAME, lambda: fitted(MaxAbsScaler(), LogisticRegression())),
    "imputed": (GAPS, lambda: fitted(by_column(SimpleImputer()), LogisticRegression(), frame=GAPS)),
    "imputed and scaled": (GAPS, lambda: fitted(SimpleImputer(), StandardScaler(), LogisticRegression(), frame=GAPS)),
    "trees": (FRAME, lambda: fitted(RandomForestClassifier(5))),
    "gaps in trees": (GAPS, lambda: fitted(HistGradientBoostingClassifier(max_iter=5), frame=GAPS)),
    "neighbors": (FRAME, lambda: fitted(KNeighborsClassifier(1))),
    "one hot": (FRAME, lambda: fitted(by_column(OneHotEncoder()), LogisticRegression())),
    "one hot of any": (FRAME, lambda: fitted(by_column(OneHotEncoder(handle_unknown="ignore")), LogisticRegression())),
    "ordinal": (FRAME, lambda: fitted(by_column(OrdinalEncoder()), LogisticRegression())),
    "lightgbm": (FRAME, lambda: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(FRAME, STAYS)),
    "xgboost": (FRAME, lambda: xgboost.XGBClassifier(n_estimators=5).fit(FRAME, STAYS == "stays")),
}
KNOWN = ("scaled", "trees", "gaps in trees", "neighbors", "xgboost")  # by which values were 0 and 1 alone


def served(model: Any, folder: Path, examples: Path | None = None) -> Loaded:
    joblib.dump(model, folder / "model.pkl")
    packages.of_a_model(folder / "model.pkl", folder, examples)
    read = manifest.decode((folder / "amaas.json").read_bytes(), check_names=True)
    declared.check(read.preprocess)
    described = {name: getattr(read, name) for name in ("task", "labels", "preprocess", "postprocess")}
    content = {"reference.csv": (folder / "reference.csv").read_bytes()}
    return serving.loaded((folder / "model.onnx").read_bytes(), files=content, **described)


def scores(answer: Any) -> list[dict[str, float]]:
    return [{one["label"]: one["score"] for one in result["predictions"]} for result in answer["results"]]


def by_itself(model: Any, frame: pandas.DataFrame) -> list[dict[str, float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answered = model.predict_proba(frame).tolist()
    return [dict(zip(map(str, model.classes_.tolist()), one, strict=True)) for one in answered]


@pytest.mark.parametrize("name", MODELS)
def test_the_table_that_trained_it_predicts(tmp_path: Path, name: str) -> None:
    frame, make = MODELS[name]
    model, frame = make(), frame[:ROWS]
    loaded = served(model, tmp_path)
    expected = [pytest.approx(one, abs=1e-4) for one in by_itself(model, frame)]
    body = inputs.body(frame, None, lambda: {"parameters": {"task": "tabular"}})
    assert b'"active":true' in body.content.replace(b" ", b"")
    assert scores(predict(loaded, body.content, body.content_type, {})) == expected
    table = frame.to_csv(index=False)
    assert ",True\n" in table
    assert scores(predict(loaded, table.encode(), "text/csv", {})) == expected
    columns, lines = csvfile.read(table.encode())
    for line, answer in zip(lines, expected, strict=True):
        request, content_type = build_request(dict(zip(columns, line, strict=True)), loaded.manifest)
        told = predict(loaded, request, content_type, {})
        assert {one["label"]: one["score"] for one in told["predictions"]} == answer


@pytest.mark.parametrize("name", MODELS)
def test_it_is_explained(tmp_path: Path, name: str) -> None:
    loaded = served(MODELS[name][1](), tmp_path)
    answer = explain(loaded, b'{"input": {"age": 41, "active": true}}', "application/json", {"samples": "8"})
    assert isinstance(answer, dict)
    shares = {one["column"]: one["attribution"] for one in answer["attributions"]}
    assert answer["score"] == pytest.approx(answer["base"] + sum(shares.values()), abs=1e-3) and shares["active"]
    typical = pandas.read_csv(tmp_path / "reference.csv")["active"]
    assert name not in KNOWN or set(typical) == {0, 1}


@pytest.mark.parametrize("name", MODELS)
def test_a_column_that_was_of_other_numbers_takes_none(tmp_path: Path, name: str) -> None:
    loaded = served(MODELS[name][1](), tmp_path)
    with pytest.raises(BadInput, match="row 0: 'age' is a number, not True"):
        predict(loaded, b'{"input": {"age": true, "active": true}}', "application/json", {})


def test_without_a_data_frame_no_column_takes_them(tmp_path: Path) -> None:
    loaded = served(make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME.to_numpy(float), STAYS), tmp_path)
    with pytest.raises(BadInput, match="row 0: 'x1' is a number, not True"):
        predict(loaded, b'{"input": {"x0": 41, "x1": true}}', "application/json", {})


def test_examples_have_them_as_pandas_writes_them_and_rule_them_out(tmp_path: Path) -> None:
    frame = FRAME.assign(age=FRAME.age.astype(float))
    model = fitted(ColumnTransformer([("all", "passthrough", ["age", "active"])]), LogisticRegression(), frame=frame)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert declared_booleans(served(model, tmp_path)) == {"age": True, "active": True}
    assert declared_booleans(served(model, tmp_path, tmp_path / "rows.csv")) == {"age": False, "active": True}
    one_hot = MODELS["one hot"][1]()
    assert served(one_hot, tmp_path, tmp_path / "rows.csv")
    golden = np.load(tmp_path / "golden.npz")
    assert set(golden["input.active_code"].ravel()) == {0, 1}


def declared_booleans(loaded: Loaded) -> dict[str, bool]:
    described = json.loads(manifest.encode(loaded.manifest))["preprocess"]["columns"]
    return {column["name"]: column.get("booleans", False) for column in described}


def test_what_takes_no_gaps_in_some_rows_declares_none(tmp_path: Path) -> None:
    loaded = served(fitted(RandomForestClassifier(5, random_state=3)), tmp_path)
    with pytest.raises(BadInput, match="'active' is null, which is a gap"):
        predict(loaded, b'{"input": {"age": 41, "active": null}}', "application/json", {})
