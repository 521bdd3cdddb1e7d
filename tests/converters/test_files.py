"""Files of models: pickles that cannot be read, boosters' own forms, rows of CSV files; and wrong conversions."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from amaas.convert import model_files, packages, proof, rows, scikit
from amaas.convert.errors import NotConverted
from amaas.local import gate
from onnx import numpy_helper

from tests.converters import models

ROOT = Path(__file__).resolve().parents[2]


def amaas(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, as it is installed."""
    command = [sys.executable, "-m", "amaas", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=environment
    )


def pickled(model: Any, folder: Path) -> Path:
    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", "is no pickle, or one that is cut off or damaged"),
        (b"\x80\x05garbage", "is no pickle, or one that is cut off or damaged"),
        (b"hello", "is no pickle, or one that is cut off or damaged"),
        (b"\x80\x07.", "was pickled by a newer Python"),
        (b"\x80\x04\x8c\x0cno_such_libr\x8c\x05Model\x93.", "needs the module 'no_such_libr'"),
        (b"\x80\x04\x8c\x0bsklearn.nix\x8c\x05Model\x93.", "which this scikit-learn lacks"),
        (b"\x80\x04\x8c\x08__main__\x8c\x05Scale\x93.", "names something that the script which pickled it defines"),
        (pickle.dumps([1, 2]), "holds a list, and no model"),
        (pickle.dumps(models.LogisticRegression()), "LogisticRegression is not fitted"),
        (pickle.dumps(models.StandardScaler().fit([[1.0]])), "StandardScaler, which predicts nothing"),
    ],
)
def test_what_is_no_model_is_said_in_a_sentence(tmp_path: Path, written: bytes, said: str) -> None:
    (tmp_path / "model.pkl").write_bytes(written)
    with pytest.raises(NotConverted) as refused:
        model_files.opened(tmp_path / "model.pkl")
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_the_version_that_made_a_pickle_is_said(tmp_path: Path) -> None:
    raw = pickle.dumps(models.SKLEARN["ridge"]()).replace(b"1.9.1", b"1.2.2")
    (tmp_path / "model.pkl").write_bytes(raw)
    _, notes = model_files.opened(tmp_path / "model.pkl")
    assert "it was made by scikit-learn 1.2.2" in notes[0]
    (tmp_path / "model.pkl").write_bytes(raw.replace(b"\x05Ridge", b"\x05Gone!"))
    with pytest.raises(NotConverted, match=r"scikit-learn 1\.2\.2, and .* is installed here; install that version"):
        model_files.opened(tmp_path / "model.pkl")


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm categories", "xgboost", "xgboost of two"])
@pytest.mark.parametrize("ending", [".pkl", "own"])
def test_boosters_own_forms(tmp_path: Path, name: str, ending: str) -> None:
    model = models.BOOST[name]()
    booster = model.booster_ if name.startswith("light") else model.get_booster()
    path = tmp_path / ("model.pkl" if ending == ".pkl" else "model.txt" if name.startswith("light") else "model.ubj")
    if ending == ".pkl":
        joblib.dump(booster, path)
    else:
        booster.save_model(path)
    files, _ = packages.of_a_model(path, tmp_path, None)
    described = json.loads(Path(files["amaas.json"]).read_text())
    assert described["labels"] == [str(number) for number in range(len(model.classes_))]
    assert [column["name"] for column in described["preprocess"]["columns"]] == list(model.feature_names_in_)


def test_early_stopping_ends_where_the_model_does(tmp_path: Path) -> None:
    x, y = models.NUMBERS, models.CUSTOMERS.zone // 10 - 1
    model = models.xgboost.XGBClassifier(n_estimators=40, early_stopping_rounds=2).fit(x, y, eval_set=[(x[::-1], y)])
    assert model.best_iteration < 39, "it has stopped"
    packages.of_a_model(pickled(model, tmp_path), tmp_path, None)
    golden = np.load(tmp_path / "golden.npz")
    expected = model.predict_proba(golden["input.x"])
    assert np.allclose(golden["output.scores"], expected, atol=1e-5)


def test_ranks_and_the_likeliest_class_are_converted_by_their_sums(tmp_path: Path) -> None:
    x, y = models.NUMBERS, models.CUSTOMERS.zone // 10 - 1
    ranker = models.xgboost.XGBRanker(n_estimators=5).fit(x, y, group=[100, 100, 100])
    packages.of_a_model(pickled(ranker, tmp_path), tmp_path, None)
    golden = np.load(tmp_path / "golden.npz")
    assert np.allclose(golden["output.scores"].ravel(), ranker.predict(golden["input.x"]), atol=1e-5)
    classes = models.xgboost.train({"objective": "multi:softmax", "num_class": 3}, models.xgboost.DMatrix(x, y), 5)
    packages.of_a_model(pickled(classes, tmp_path), tmp_path, None)
    golden = np.load(tmp_path / "golden.npz")
    rows = models.xgboost.DMatrix(golden["input.x"], feature_names=list(x.columns))
    assert (golden["output.scores"].argmax(axis=1) == classes.predict(rows)).all()


def test_a_booster_without_trees_is_not_converted(tmp_path: Path) -> None:
    model = models.xgboost.XGBRegressor(n_estimators=3, booster="gblinear").fit(models.NUMBERS, models.VALUE)
    with pytest.raises(NotConverted, match="booster=gblinear, which is not converted"):
        packages.of_a_model(pickled(model, tmp_path), tmp_path, None)


def test_given_rows_are_the_golden_set(tmp_path: Path) -> None:
    path = pickled(models.SKLEARN["strict"](), tmp_path)
    models.CUSTOMERS[:40].to_csv(tmp_path / "rows.csv", index=False)
    _, notes = packages.of_a_model(path, tmp_path, tmp_path / "rows.csv")
    assert "40 rows are answered as by LogisticRegression itself" in notes
    golden = np.load(tmp_path / "golden.npz")
    assert set(golden["input.age"].ravel()) <= set(models.CUSTOMERS.age[:40])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age,plan,zone\n1,free,10\n", "lacks the column 'income'"),
        ("age,plan,zone,income\n", "has no rows"),
        ("age,plan,zone,income\nold,free,10,1\n", "row 0: 'age' is a number, not 'old'"),
        ("age,plan,zone,income\n1,gold,10,1\n", "row 0: 'gold' is no category of 'plan': free, paid, trial"),
        ("", "cannot be read as CSV"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.csv").write_text(text)
    original = scikit.original(models.SKLEARN["strict"]())
    with pytest.raises(NotConverted, match=said):
        rows.of_file(tmp_path / "rows.csv", original)


def test_a_wrong_conversion_is_not_pushed(tmp_path: Path) -> None:
    original = scikit.original(models.SKLEARN["ridge"]())
    right = original.graph()
    weights = next(one for one in right.graph.node if one.op_type == "LinearRegressor").attribute
    [coefficients] = [one for one in weights if one.name == "coefficients"]
    coefficients.floats[0] *= 1.01
    (tmp_path / "model.onnx").write_bytes(right.SerializeToString())
    session = packages.golden.opened(tmp_path / "model.onnx")
    with pytest.raises(
        NotConverted, match=r"answers otherwise than the model itself, in \d+ of 256 rows: row \d+ gets"
    ):
        proof.prove(original, session, rows.derived(original), given=False)


def test_rows_on_the_edge_of_a_split_are_left_out(tmp_path: Path) -> None:
    model = models.RandomForestClassifier(1, max_depth=1, bootstrap=False).fit([[0.0], [0.1]], [0, 1])
    original = scikit.original(model)
    graph = original.graph()
    for node in graph.graph.node:
        for one in node.attribute:
            if one.name == "nodes_values":
                one.floats[0] = np.nextafter(np.float32(one.floats[0]), np.float32(1))
            if one.name == "nodes_values_as_tensor":
                values = numpy_helper.to_array(one.t)
                one.t.CopyFrom(numpy_helper.from_array(np.nextafter(values, 1.0), one.t.name))
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    session = packages.golden.opened(tmp_path / "model.onnx")
    edge = float(np.nextafter(np.float32(model.estimators_[0].tree_.threshold[0]), np.float32(1)))
    table = {"x0": np.array([0.0, 0.01, 0.02, 0.2, edge])}
    proven = proof.prove(original, session, table, given=True)
    assert proven.compared == 4 and "1 of 5 rows lie on the edge" in proven.notes[0]


@pytest.mark.parametrize("name", ["filled", "texts", "lightgbm categories"])
def test_the_gate_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(gate, "_place", lambda: gate.Place(sys.executable, [ROOT]))
    files, _ = packages.of_a_model(pickled(models.MODELS[name](), tmp_path), tmp_path, None)
    found = gate.check("m", {name: Path(path) for name, path in files.items()})
    assert found["manifest"]["gate"]["golden"] == {
        "cases": 64,
        "max_abs": pytest.approx(0, abs=1e-2),
        "passed": True,
    }


def test_the_command_converts_and_runs_no_module_of_the_folder(tmp_path: Path) -> None:
    pickled(models.SKLEARN["strict"](), tmp_path)
    (tmp_path / "sklearn.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "amaas.json").write_text(json.dumps({"name": "customers", "labels": ["goes", "stays"]}))
    refused = amaas("push", ".", "--print", folder=tmp_path)
    assert refused.returncode == 1 and "is a pickle, and reading one runs whatever code is in it" in refused.stderr
    done = amaas("push", ".", "--print", "--trust-pickle", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert (described["name"], described["labels"]) == ("customers", ["goes", "stays"])
    assert "amaas: 256 rows are answered as by LogisticRegression itself" in done.stderr


def test_a_pickle_that_ends_its_process_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Ending()))
    done = amaas("push", "model.pkl", "--print", "--trust-pickle", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == textwrap.dedent(
        "amaas: model.pkl has ended what reads it (exit status 7): export ONNX anew, and push that\n"
    )


class Ending:
    """As a pickle can be: reading it ends the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__("os")._exit, (7,)
