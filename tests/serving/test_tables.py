"""Tables: a scikit-learn pipeline with text columns answers as scikit-learn does; categories, absent values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.structs import replace
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from shared.errors import BadInput, Unsupported
from shared.package import processing
from shared.package.table import Column, Table, input_of
from shared.serving import tasks
from shared.serving.inputs import tables
from tests.serving import packages
from tests.support import linear

RANDOM = np.random.default_rng(0)
ROWS = [
    {"age": float(RANDOM.integers(18, 80)), "city": str(RANDOM.choice(["Bonn", "Oslo", "Rome"]))} for _ in range(200)
]
WANTED = ["yes" if (row["age"] > 40) != (row["city"] == "Oslo") else "no" for row in ROWS]


@pytest.fixture(scope="module")
def pipeline():
    columns = np.array([[row["age"], row["city"]] for row in ROWS], object)
    classifier = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(handle_unknown="ignore"), [1])]),
        LogisticRegression(C=100),
    )
    return classifier.fit(columns, WANTED)


@pytest.fixture(scope="module")
def model(pipeline):
    kinds = [("age", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]
    raw = to_onnx(pipeline, initial_types=kinds, options={id(pipeline): {"zipmap": False}}, target_opset=17)
    plan = Table(columns=[Column(name="age", missing=40.0), Column(name="city", type="text", missing="?")])
    return packages.loaded(raw.SerializeToString(), task="tabular", labels=list(pipeline.classes_), preprocess=plan)


def ask(model, value, content_type: str = "application/json", **options: str) -> dict:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return tasks.predict(model, body, content_type, options)


def test_a_pipeline_with_text_answers_as_scikit_learn(model, pipeline) -> None:
    rows = ROWS[:50]
    expected = pipeline.predict_proba(np.array([[r["age"], r["city"]] for r in rows], object))
    for answer, row in zip(ask(model, {"inputs": rows})["results"], expected, strict=True):
        scores = {p["label"]: p["score"] for p in answer["predictions"]}
        assert [scores[name] for name in pipeline.classes_] == pytest.approx(row, abs=2e-6)


def test_rows_as_lists_and_as_csv(model) -> None:
    rows = ROWS[:3]
    as_objects = ask(model, {"inputs": rows})["results"]
    assert ask(model, {"inputs": [[r["age"], r["city"]] for r in rows]})["results"] == as_objects
    text = "\ufeffcity,age\r\n" + "".join(f'"{r["city"]}",{r["age"]}\r\n' for r in rows)
    assert ask(model, text.encode(), "text/csv")["results"] == as_objects
    assert ask(model, {"input": rows[0]})["predictions"] == as_objects[0]["predictions"]


def test_what_is_absent_is_replaced(model) -> None:
    filled = ask(model, {"input": {"age": 40.0, "city": "?"}})
    for row in ({}, {"age": None, "city": None}, {"age": ""}):
        assert ask(model, {"input": row}) == filled


def test_values_where_there_are_no_classes() -> None:
    plan = Table(columns=[Column(name="a"), Column(name="b", mean=1.0, std=2.0)])
    model = packages.loaded(linear([[2.0], [10.0]]), task="tabular", preprocess=plan)
    assert ask(model, {"inputs": [[1, 1], [2, 3]]})["results"] == [{"value": 2.0}, {"value": 14.0}]


def test_one_probability_is_that_of_the_second_class() -> None:
    plan = Table(columns=[Column(name="a")])
    model = packages.loaded(linear([[1.0]]), task="tabular", labels=["no", "yes"], preprocess=plan)
    assert ask(model, {"input": [0.75]})["predictions"] == [
        {"label": "yes", "score": 0.75},
        {"label": "no", "score": 0.25},
    ]


def test_categories_as_codes_and_one_hot() -> None:
    for column, expected in (
        (Column(name="c", type="category", categories=["x", 3, True]), [[0], [1], [2]]),
        (Column(name="c", type="category", categories=["x", 3, True], encode="one-hot"), np.eye(3).tolist()),
    ):
        plan = Table(columns=[column])
        model = packages.loaded(linear(np.ones((len(expected[0]), 1)).tolist()), task="tabular", preprocess=plan)
        for values in (["x", 3, True], ["x", "3", "true"]):
            assert tables.feeds(model, tables.rows([[v] for v in values], plan), plan)["x"].tolist() == expected
        with pytest.raises(BadInput, match="no category of 'c'"):
            ask(model, {"input": ["y"]})
    unknown = Column(name="c", type="category", categories=["x"], encode="one-hot", unknown=-1)
    model = packages.loaded(linear([[1.0]]), task="tabular", preprocess=Table(columns=[unknown]))
    assert ask(model, {"inputs": [["x"], ["y"]]})["results"] == [{"value": 1.0}, {"value": 0.0}]


def test_what_is_refused(model) -> None:
    no_substitute = packages.loaded(linear([[1.0]]), task="tabular", preprocess=Table(columns=[Column(name="a")]))
    for body, why in (
        ({"input": {}}, "lacks column 'a'"),
        ({"input": {"a": float("nan")}}, "JSON"),
        ({"input": {"a": "many"}}, "is a number"),
        ({"input": {"b": 1}}, "which the model lacks"),
        ({"input": [1, 2]}, "1 columns"),
        ({"input": 1}, "1 columns"),
    ):
        with pytest.raises(BadInput, match=why):
            ask(no_substitute, body)
    for text, why in (
        (b"a\n1,2\n", "2 fields"),
        (b"\xff", "no text in"),
        (b'a\n"1', "no CSV"),
        (b"b\n1\n", "lacks"),
    ):
        with pytest.raises(BadInput, match=why):
            ask(no_substitute, text, "text/csv")
    with pytest.raises(Unsupported, match="text/csv"):
        ask(no_substitute, b"x", "image/png")
    with pytest.raises(Unsupported, match=r"call it text/csv; delimiter=tab, or of a batch job, name it \.csv and"):
        ask(no_substitute, b"a\n1\n", "text/tab-separated-values")
    with pytest.raises(BadInput, match="goes to no input"):
        input_of(Column(name="z"), ["x", "y"])


def test_a_package_without_columns_takes_tensors() -> None:
    model = packages.loaded(linear([[1.0], [2.0]]), task="tabular")
    assert ask(model, {"inputs": {"x": [[1.0, 1.0]]}})["outputs"] == {"y": [[3.0]]}


@pytest.mark.parametrize("after", [None, processing.Scores(top_k=2), processing.Scores(threshold=0.1)])
def test_scores_that_are_probabilities_stay_what_they_are(pipeline, model, after: processing.Scores | None) -> None:
    changed = replace(model, manifest=replace(model.manifest, postprocess=after))
    expected = pipeline.predict_proba(np.array([[ROWS[0]["age"], ROWS[0]["city"]]], object))[0].max()
    [best, *_] = ask(changed, {"inputs": [ROWS[0]]})["results"][0]["predictions"]
    assert best["score"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("body", [b"age,city\n", b"5.1,3.5", b""])
def test_a_csv_without_rows_is_no_question(model, body: bytes) -> None:
    with pytest.raises(BadInput, match="no rows"):
        ask(model, body, "text/csv")


def test_options_belong_into_parameters(model) -> None:
    with pytest.raises(BadInput, match=r"parameters.*top_k"):
        ask(model, {"input": ROWS[0], "top_k": 1})
    assert len(ask(model, {"input": ROWS[0], "parameters": {"top_k": 1}, "id": 7})["predictions"]) == 1


@pytest.mark.parametrize(
    ("content_type", "options"),
    [
        ('text/csv; charset=iso-8859-1; delimiter=";"; decimal=","', {}),
        ("text/csv; delimiter=semicolon; decimal=,; charset=latin1", {}),
        ("text/csv; charset=iso-8859-1", {"delimiter": ";", "decimal": ","}),
    ],
)
def test_a_csv_as_its_sender_says_that_it_is_written(content_type: str, options: dict[str, str]) -> None:
    plan = Table(columns=[Column(name="größe"), Column(name="b")], reference="rows.csv")
    typical = "größe,b\n1,2\n3,4\n".encode()
    model = packages.loaded(linear([[1.0], [10.0]]), task="tabular", preprocess=plan, files={"rows.csv": typical})
    body = "größe;b\n1,5;2\n-0,5;3\n".encode("iso-8859-1")
    assert ask(model, body, content_type, **options)["results"] == [{"value": 21.5}, {"value": 29.5}]
    one = "größe;b\n1,5;2\n".encode("iso-8859-1")
    explained = tasks.explain(model, one, content_type, options)
    assert isinstance(explained, dict) and "attributions" in str(explained)


def test_nothing_about_a_csv_is_guessed(model) -> None:
    for body, content_type, words in (
        (b"age;city\n1;x\n", "text/csv", "say delimiter=semicolon|which the model lacks"),
        (b'age,city\n"1,5",x\n', "text/csv", "declare decimal"),
        ("age,city\n1,x\n".encode("utf-16"), "text/csv", "UTF-16"),
        (b"age,city\n1,x\n", "text/csv; delimiter=x", "none that CSV has"),
        (b"age,city\n1,x\n", "text/csv; charset=klingon", "klingon"),
    ):
        with pytest.raises((BadInput, Unsupported), match=words):
            ask(model, body, content_type)
