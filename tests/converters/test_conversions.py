"""Each model becomes a package that ingest takes, and rows as callers send them are answered as by the model itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pandas
import pytest
from amaas.convert import packages, rows, scikit
from amaas.convert.errors import NotConverted
from sklearn import preprocessing
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.neighbors import NearestCentroid

from shared.package import manifest
from shared.package.manifest import Manifest
from shared.values import declared
from shared.values.table import Reader
from tests.converters import models

TAKES_GAPS = ("histogram", "strict", "lightgbm", "lightgbm categories", "xgboost", "xgboost values")


def converted(name: str, folder: Path) -> tuple[Any, Manifest, Path]:
    """The model, its manifest as ingest reads it, and its graph."""
    model = models.MODELS[name]()
    joblib.dump(model, folder / "model.pkl")
    files, notes = packages.of_a_model(folder / "model.pkl", folder, None)
    assert "golden.npz" in files and notes[-1].endswith("itself"), notes
    read = manifest.decode(Path(files["amaas.json"]).read_bytes(), check_names=True)
    declared.check(read.preprocess)
    return model, read, Path(files["model.onnx"])


def answered(read: Manifest, graph: Path, rows: list[dict[str, Any]]) -> np.ndarray:
    """As the service does: rows through the door for values, into the graph."""
    session = onnxruntime.InferenceSession(str(graph))
    kinds = {"tensor(float)": "FP32", "tensor(int64)": "INT64", "tensor(string)": "BYTES"}
    inputs = [manifest.Tensor(one.name, kinds[one.type], [-1, one.shape[1]]) for one in session.get_inputs()]
    feeds = Reader(read.preprocess).feeds(rows, inputs)  # type: ignore[arg-type]
    [scores] = session.run(None, feeds)
    return np.asarray(scores)


def by_itself(model: Any, rows: Any) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows))
    if hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(rows))
        return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    values = np.asarray(model.predict(rows))
    return values.reshape(len(values), -1)


def shown_to(model: Any, name: str) -> Any:
    """Rows of training's, as the model takes them."""
    if name == "lightgbm categories":
        return models.PLANS[:50]
    if "calibrated" in name or "votes" in name:
        return models.NUMBERS[:50] / 100
    names = getattr(model, "feature_names_in_", None)
    return models.NUMBERS.values[:50] if names is None else models.CUSTOMERS[list(names)][:50]


@pytest.mark.parametrize("name", [name for name in models.MODELS if name != "texts"])
def test_rows_are_answered_as_by_the_model(name: str, tmp_path: Path) -> None:
    model, read, graph = converted(name, tmp_path)
    rows = shown_to(model, name)
    names = [column.name for column in read.preprocess.columns]  # type: ignore[union-attr]
    frame = rows[names] if isinstance(rows, pandas.DataFrame) else pandas.DataFrame(rows, columns=names)
    sent = frame.astype(object).to_dict("records")
    expected = by_itself(model, rows)
    found = answered(read, graph, sent)
    assert found.shape == expected.shape
    alike = np.isclose(found, expected, rtol=1e-3, atol=1e-4).all(axis=1)
    assert alike.mean() >= (0.95 if name == "neighbors" else 1), "of neighbors as near as others, other ones are taken"
    assert read.task == ("tabular" if hasattr(model, "classes_") else "tabular-regression")
    if hasattr(model, "classes_"):
        assert read.labels == [str(one) for one in model.classes_.tolist()]
    gaps = {column.name for column in read.preprocess.columns if column.missing == "nan"}  # type: ignore[union-attr]
    assert bool(gaps) or name not in TAKES_GAPS


def test_columns_that_the_model_drops_may_be_sent(tmp_path: Path) -> None:
    model, read, graph = converted("strict", tmp_path)
    frame = models.CUSTOMERS[:10]
    assert read.preprocess and read.preprocess.ignored == ["note", "unused"]
    sent = Reader(read.preprocess).rows(frame.astype(object).to_dict("records"))
    assert np.allclose(answered(read, graph, sent), model.predict_proba(frame), atol=1e-5)
    with pytest.raises(Exception, match="which the model lacks"):
        Reader(read.preprocess).rows([sent[0] | {"income2": 1}])


def test_texts_are_text_classification(tmp_path: Path) -> None:
    model, read, graph = converted("texts", tmp_path)
    assert (read.task, read.labels, read.input_kind) == ("text-classification", ["politics", "sports"], "text")
    texts = ["A GOAL, and taxes", "Parliament", "nothing known"]
    session = onnxruntime.InferenceSession(str(graph))
    [scores] = session.run(None, {"text": np.array(texts, object)[:, None]})
    assert np.allclose(scores, model.predict_proba(texts), atol=1e-5)


def test_categories_are_known_by_value_and_others_refused_or_ignored(tmp_path: Path) -> None:
    model, read, graph = converted("strict", tmp_path)
    row = {"age": None, "plan": "paid", "zone": "20", "income": 3000}
    one = answered(read, graph, [row])
    frame = models.CUSTOMERS[:1].assign(age=np.nan, plan="paid", zone=20, income=3000.0)
    assert np.allclose(one, model.predict_proba(frame), atol=1e-5), "a CSV's text is a number, and a gap the mean"
    with pytest.raises(Exception, match=r"row 0: 'gold' is no category of 'plan': \['free', 'paid', 'trial'\]"):
        answered(read, graph, [row | {"plan": "gold"}])


def test_what_the_encoder_ignores_is_ignored(tmp_path: Path) -> None:
    model, read, graph = converted("lenient", tmp_path)
    row = {"age": 30, "plan": "gold", "zone": 99, "income": 3000}
    frame = models.CUSTOMERS[:1].assign(age=30.0, plan="gold", zone=99, income=3000.0)
    assert np.allclose(answered(read, graph, [row]), model.predict_proba(frame), atol=1e-5)


def test_what_is_pushed_has_one_output_and_no_label(tmp_path: Path) -> None:
    _, read, graph = converted("lightgbm truths", tmp_path)
    session = onnxruntime.InferenceSession(str(graph))
    assert [one.name for one in session.get_outputs()] == ["scores"] and read.labels == ["False", "True"]
    golden = np.load(tmp_path / "golden.npz")
    assert len(golden["output.scores"]) == 64 and len(np.unique(golden["output.scores"].round(3))) > 2
    described = json.loads((tmp_path / "amaas.json").read_text())
    assert described["postprocess"] == {"activation": "none", "output": "scores"}


def test_scalers_put_no_row_of_the_training_on_another_side(tmp_path: Path) -> None:
    for seed in range(4):  # with skl2onnx's own scaler, some three in a hundred were
        model = models.make_pipeline(models.columns(), models.RandomForestClassifier(10, random_state=seed))
        model.fit(models.GAPS, models.STAYS)
        joblib.dump(model, tmp_path / "model.pkl")
        models.GAPS.to_csv(tmp_path / "rows.csv", index=False)
        _, notes = packages.of_a_model(tmp_path / "model.pkl", tmp_path, tmp_path / "rows.csv")
        assert notes == [f"{models.ROWS} rows are answered as by RandomForestClassifier itself"]


@pytest.mark.parametrize("last", [models.RandomForestClassifier(5), models.SVC(), models.KNeighborsClassifier()])
def test_rows_that_are_made_up_are_as_large_as_those_that_came_before_a_scaler(last: Any) -> None:
    model = models.make_pipeline(SimpleImputer(), preprocessing.StandardScaler(), last)
    original = scikit.original(model.fit(models.NUMBERS, models.STAYS))
    typical = rows.typical(original)
    for name in ("age", "income"):
        low, high = models.NUMBERS[name].quantile([0.1, 0.9])
        assert low < np.median(typical[name]) < high


def test_other_scalers_and_imputers_are_converted_too(tmp_path: Path) -> None:
    scalers = (preprocessing.RobustScaler(), preprocessing.MaxAbsScaler(), preprocessing.MinMaxScaler())
    imputers = (SimpleImputer(strategy="median"), SimpleImputer(fill_value=7.0), SimpleImputer(missing_values=40.0))
    for scaler, imputer in zip(scalers, imputers, strict=True):
        frame = models.NUMBERS if imputer.missing_values == 40.0 else models.GAPS[["age", "income"]]
        model = models.make_pipeline(imputer, scaler, models.LogisticRegression()).fit(frame, models.STAYS)
        joblib.dump(model, tmp_path / "model.pkl")
        frame.to_csv(tmp_path / "rows.csv", index=False)
        _, notes = packages.of_a_model(tmp_path / "model.pkl", tmp_path, tmp_path / "rows.csv")
        assert notes == [f"{models.ROWS} rows are answered as by LogisticRegression itself"]


def test_what_skl2onnx_leaves_out_is_refused(tmp_path: Path) -> None:
    steps = (SimpleImputer(add_indicator=True), preprocessing.StandardScaler(), models.LogisticRegression())
    model = models.make_pipeline(*steps).fit(models.GAPS[["age", "income"]], models.STAYS)
    joblib.dump(model, tmp_path / "model.pkl")
    with pytest.raises(NotConverted, match="LogisticRegression has been converted to a graph that does not run"):
        packages.of_a_model(tmp_path / "model.pkl", tmp_path, None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: models.make_pipeline(preprocessing.SplineTransformer(), models.LogisticRegression()),
            r"SplineTransformer, a part of this model, has no conversion to ONNX \(skl2onnx knows no Spline",
        ),
        (
            lambda: models.make_pipeline(
                models.ColumnTransformer([("n", models.make_pipeline(SimpleImputer(), Nystroem()), ["age"])]),
                models.VotingClassifier([("a", models.LogisticRegression())]),
            ),
            "Nystroem, a part of this model, has no conversion",
        ),
        (
            lambda: models.make_pipeline(preprocessing.FunctionTransformer(np.log1p), models.LogisticRegression()),
            "FunctionTransformer, a part of this model, has no conversion to ONNX .* unless the transform function",
        ),
        (
            lambda: NearestCentroid(),
            r"NearestCentroid has no conversion to ONNX .skl2onnx knows no NearestCentroid.: train",
        ),
    ],
)
def test_the_step_without_a_conversion_is_named(tmp_path: Path, make: Callable[[], Any], words: str) -> None:
    joblib.dump(make().fit(models.NUMBERS, models.STAYS), tmp_path / "model.pkl")
    with pytest.raises(NotConverted, match=words):
        packages.of_a_model(tmp_path / "model.pkl", tmp_path, None)


def test_a_vectorizer_without_words_of_its_own_is_named(tmp_path: Path) -> None:
    model = models.make_pipeline(HashingVectorizer(), models.LogisticRegression()).fit(models.TEXTS, models.TOPICS)
    joblib.dump(model, tmp_path / "model.pkl")
    with pytest.raises(NotConverted, match="HashingVectorizer, a part of this model, has no conversion to ONNX"):
        packages.of_a_model(tmp_path / "model.pkl", tmp_path, None)


def test_small_answers_are_compared_as_such_and_settle_nothing(tmp_path: Path) -> None:
    model = models.Ridge().fit(models.NUMBERS, models.VALUE * 1e-9)
    joblib.dump(model, tmp_path / "model.pkl")
    files, notes = packages.of_a_model(tmp_path / "model.pkl", tmp_path, None)
    assert "golden.npz" not in files and any(note.startswith("it goes without a golden set") for note in notes)


def test_gaps_of_texts_are_filled_in_as_the_imputer_does(tmp_path: Path) -> None:
    model, read, graph = converted("filled", tmp_path)
    plan = next(column for column in read.preprocess.columns if column.name == "plan")  # type: ignore[union-attr]
    assert plan.missing == models.CUSTOMERS.plan.mode()[0]
    frame = models.CUSTOMERS[:1].assign(plan=np.nan, age=np.nan).astype({"plan": object})
    assert np.allclose(answered(read, graph, [{"plan": None, "age": None}]), model.predict_proba(frame), atol=1e-5)


def test_columns_keep_names_that_are_no_identifiers(tmp_path: Path) -> None:
    names = {"age": "Alter (Jahre), ü/ß", "plan": 'p"l an'}
    first = models.ColumnTransformer(
        [("n", models.StandardScaler(), [names["age"]]), ("c", models.OneHotEncoder(), [names["plan"]])]
    )
    frame = models.CUSTOMERS.rename(columns=names)[list(names.values())]
    model = models.make_pipeline(first, models.LogisticRegression()).fit(frame, models.STAYS)
    joblib.dump(model, tmp_path / "model.pkl")
    packages.of_a_model(tmp_path / "model.pkl", tmp_path, None)
    read = manifest.decode((tmp_path / "amaas.json").read_bytes(), check_names=True)
    rows = frame[:20].astype(object).to_dict("records")
    found = answered(read, tmp_path / "model.onnx", rows)
    assert np.allclose(found, model.predict_proba(frame[:20]), atol=1e-5)
