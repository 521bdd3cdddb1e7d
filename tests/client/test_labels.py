"""`amaas label`, and the answer_id of predictions: from an answer to how often a version is right."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from amaas import Client

from shared.feedback.answers import Answer, encode
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.client.conftest import Run
from tests.client.test_cli import answered
from tests.functions.test_flow import push as upload
from tests.registry.conftest import push
from tests.support import tiny_classifier

MANIFEST = b'{"task": "image-classification", "preprocess": {"mode": "L", "size": [4, 4]}, "labels": ["a", "b", "c"]}'


def an_id(number: int) -> str:
    return encode(Answer(1, "production", 2, int(time.time() // 60) - 5, bytes([number] * 6), [0, 1], [19, 10]))


@pytest.fixture
def model(log: Log) -> str:
    push(log, "m", labels=["cat", "dog"])
    return "m"


def test_labels_of_a_file_make_an_accuracy(run: Run, model: str, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"answer_id,label,item\n{an_id(1)},cat,\n{an_id(1)},dog,1\n{an_id(2)},dog,0\n")
    first = run("label", "give", model, str(table))
    assert (first.stdout, first.stderr) == ("accepted 3\n", "")
    lines = tmp_path / "labels.jsonl"
    lines.write_text("".join(json.dumps({"answer_id": an_id(n), "label": "cat"}) + "\n" for n in (3, 4)))
    assert answered(run, "label", "give", model, str(lines)) == {"accepted": 2, "refused": []}
    [week] = answered(run, "accuracy", model)["measured"]
    assert (week["items"], week["right"]) == (5, 4)
    shown = run("accuracy", model).stdout
    assert "measured: 80.0 % (" in shown and "of 5 labeled answers are right" in shown and "cat for dog 1" in shown
    assert "1 objects" not in run("label", "rm", model).stdout
    assert answered(run, "accuracy", model)["measured"] == []


def test_one_label_and_those_that_are_refused(run: Run, model: str) -> None:
    assert run("label", "give", model, "--answer", an_id(1), "--label", "dog", "--item", "1").exit_code == 0
    refused = run("label", "give", model, "--answer", an_id(1), "--label", "horse")
    assert refused.exit_code == 1
    assert "refused, number 1 this is no label of version 1: give one of cat, dog" in refused.stdout


@pytest.mark.parametrize("words", [[], ["--answer", "x"], ["--label", "cat"]])
def test_what_is_missing_is_said(run: Run, model: str, words: list[str]) -> None:
    result = run("label", "give", model, *words)
    assert (result.exit_code, "give a FILE, or --answer and --label" in result.stderr) == (2, True)


FILES = ["", "label\ncat\n", "{\n", '{"label": "cat"}\n', "answer_id,label,item\nx,cat,first\n"]


@pytest.mark.parametrize("text", FILES)
def test_files_that_hold_no_labels(run: Run, model: str, tmp_path: Path, text: str) -> None:
    file = tmp_path / "labels"
    file.write_text(text)
    result = run("label", "give", model, str(file))
    assert result.exit_code == 1 and "answer_id" in result.stderr


def test_a_prediction_has_the_id_that_labels_name(client: Client, store: MemoryStore) -> None:
    upload(store, "pictures", {"model.onnx": tiny_classifier(), "amaas.json": MANIFEST})
    client.promote("pictures", 1)
    body = (Path(__file__).resolve().parents[2] / "examples/images/fashion-0002-trouser.png").read_bytes()
    answer = client.predict("pictures", body)
    right = answer["predictions"][0]["label"]
    given = client.give_labels("pictures", [{"answer_id": answer["answer_id"], "label": right}] * 1001)
    assert given == {"accepted": 1001, "refused": []}
    assert [week["right"] for week in client.get_model_accuracy("pictures")["measured"]] == [1]
    assert client.delete_labels("pictures")["objects"] > 0
