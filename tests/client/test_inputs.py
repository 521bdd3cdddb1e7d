"""What a caller has, in whatever form, is answered as the model's own form is: texts, files, rows, tensors, images."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaas import AmaasError, ApiError, Client
from amaas.api import inputs

from shared.registry.log import Log
from tests.client.gateway import Service
from tests.client.models import PNG, everyday, served
from tests.client.test_ending import PLAIN
from tests.client.test_images import picture

LOOKED_UP = r"^/v2/models/\w+$"


@pytest.fixture(autouse=True)
def models(log: Log) -> None:
    served(log)
    everyday(log)


def embedded(client: Client, value: Any, **options: Any) -> list[float]:
    return client.predict("words", value, **options).embedding


# ---- texts


def test_a_text(client: Client, service: Service) -> None:
    expected = embedded(client, {"input": "the cat"})
    assert len(expected) == 4
    for value in ("the cat", b"the cat", np.array("the cat")):
        assert embedded(client, value) == expected
    assert service.received("POST", "predict")[1].headers["content-type"] == "text/plain; charset=utf-8"
    assert not service.received("GET", LOOKED_UP)[1:], "a text alone needs no look at the model"


def test_a_text_may_be_of_any_length_and_signs(client: Client) -> None:
    for text in ("the " * 2000, "the\ncat", "/" * 300, "the \x00 cat", "…" * 300, "Grüße"):
        assert len(embedded(client, text)) == 4
    with pytest.raises(AmaasError, match="half a character"):
        client.predict("words", "\ud800")


def test_a_name_of_a_file_that_is_not_there_is_no_text(client: Client) -> None:
    for value in ("nothere.txt", "Photo.JPG", "some/folder/rows.csv"):
        with pytest.raises(AmaasError, match=r"there is no file '.*': to send it as a text, give content_type"):
            client.predict("words", value)
        assert client.predict("words", value, content_type="text/plain").embedding
    assert client.predict("words", "see example.com and notes.txt").embedding


def test_a_text_that_names_a_file_is_that_file(client: Client, service: Service, tmp_path: Path) -> None:
    (tmp_path / "cat").write_text("the mat")
    expected = embedded(client, {"input": "the mat"})
    assert (
        embedded(client, "cat") == embedded(client, Path("cat")) == embedded(client, str(tmp_path / "cat")) == expected
    )
    assert embedded(client, "cat", content_type="text/plain") == embedded(client, {"input": "cat"})
    (tmp_path / "cat\n").write_text("the mat")
    assert embedded(client, "cat\n") == embedded(client, {"input": "cat\n"})
    (tmp_path / "the").mkdir()
    assert embedded(client, "the") == embedded(client, {"input": "the"}), "a folder's name is a text"


def test_a_path_is_always_a_file(client: Client, service: Service, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    before = len(service.calls)
    with pytest.raises(AmaasError, match=r"^nowhere does not exist: give a file, or a text as str$"):
        client.predict("words", Path("nowhere"))
    with pytest.raises(AmaasError, match=r"^folder is a folder: give one of its files"):
        client.predict("words", Path("folder"))
    assert len(service.calls) == before


def test_several_texts(client: Client) -> None:
    expected = [embedded(client, text) for text in ("the cat", "a mat")]
    for value in (["the cat", "a mat"], ("the cat", "a mat"), np.array(["the cat", "a mat"]), [b"the cat", b"a mat"]):
        assert [result.embedding for result in client.predict("words", value).results] == expected
    assert len(client.predict("words", ["the cat"]).results) == 1


def test_a_pair_of_texts(client: Client) -> None:
    pair = {"text": "the cat", "pair": "a mat"}
    assert embedded(client, pair) == embedded(client, {"input": pair})
    assert len(client.predict("words", [pair, pair]).results) == 2


# ---- rows


@pytest.mark.parametrize(
    "row",
    [
        {"a": 1, "b": 2},
        [1, 2],
        (1, 2.0),
        ["1", 2],
        np.array([1, 2]),
        np.array([1.0, 2.0], np.float32),
        {"a": np.float32(1), "b": np.int64(2)},
        {"input": [1, 2]},
        b'{"input": [1, 2]}',
        "a,b\n1,2\n",
    ],
    ids=repr,
)
def test_a_row(client: Client, row: Any) -> None:
    csv = {"content_type": "text/csv"} if isinstance(row, str) else {}
    answer = client.predict("rows", row, **csv)
    assert (answer.results[0].value if "results" in answer else answer.value) == 22.0


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1, "b": 2}, {"a": 0, "b": 1}],
        [[1, 2], [0, 1]],
        [(1, 2), {"b": 1, "a": 0}],
        np.array([[1, 2], [0, 1]]),
        [np.array([1, 2]), np.array([0, 1])],
        {"inputs": [[1, 2], [0, 1]]},
    ],
    ids=repr,
)
def test_several_rows(client: Client, rows: Any) -> None:
    answer = client.predict("rows", rows)
    assert [result.value for result in answer.results] == [22.0, 10.0]


@pytest.mark.parametrize(
    "row", [{"a": math.nan, "b": 1}, {"a": None, "b": 1}, [math.nan, 1], np.array([math.nan, 1.0]), {"b": 1}]
)
def test_a_gap(client: Client, row: Any) -> None:
    assert client.predict("rows", row).value == 210.0


def test_the_model_is_looked_at_once(client: Client, service: Service, log: Log) -> None:
    for _ in range(3):
        client.predict("rows", [1, 2])
    assert len(service.received("GET", LOOKED_UP)) == 1
    client.predict("rows", [1, 2], 1)
    assert len(service.received("GET", "/versions/1$")) == 1
    with pytest.raises(ApiError, match="columns"):
        client.predict("rows", [1, 2, 3])
    assert len(service.received("POST", "/models/rows/predict")) == 4, "what is wrong with the row is not asked twice"


def test_an_alias_that_has_moved_to_another_kind_of_model(client: Client, service: Service) -> None:
    assert client.predict("rows", [1, 2]).value == 22.0
    client._described[("rows", None)] = {"inputs": [{"name": "x"}], "parameters": {"task": "tensor"}}  # of before
    assert client.predict("rows", [1, 2]).value == 22.0


# ---- tensors


@pytest.mark.parametrize(
    "value",
    [
        np.array([[1.0, 2.0]]),
        np.array([[1, 2]], np.int32),
        [[1, 2]],
        ((1, 2),),
        {"x": [[1, 2]]},
        {"x": np.array([[1, 2]])},
        {"inputs": {"x": [[1.0, 2.0]]}},
        {"inputs": {"x": np.array([[1.0, 2.0]], np.float16)}},
    ],
    ids=repr,
)
def test_a_tensor(client: Client, value: Any) -> None:
    assert client.predict("sum", value).outputs == {"y": [[21.0]]}
    inferred = client.infer("sum", value) if not (isinstance(value, dict) and "inputs" in value) else None
    assert inferred is None or (inferred.data(), inferred.outputs[0]["shape"]) == ([21.0], [1, 1])


def test_a_model_of_several_tensors_wants_their_names(client: Client) -> None:
    for call in (client.predict, client.infer):
        with pytest.raises(AmaasError, match=r"^the model takes 'x', 'z': give a dict with each by its name$"):
            call("two", [[1, 2]])
    with pytest.raises(AmaasError, match=r"^the model has no input 'w': it takes 'x', 'z'$"):
        client.infer("two", {"w": [1]})


def test_what_json_has_not(client: Client) -> None:
    for value in (np.array([[math.nan, 1.0]]), [[math.inf, 1]], {"x": [[-math.inf, 1]]}):
        for call in (client.predict, client.infer):
            with pytest.raises(AmaasError, match=r"no NaN and no infinity.*infer_binary"):
                call("sum", value)
    with pytest.raises(AmaasError, match="no NaN and no infinity"):
        client.predict("rows", [math.inf, 1])
    for value in ({"a": object(), "b": 1}, [object()]):
        with pytest.raises(AmaasError, match="object is no value that JSON has"):
            client.predict("rows", value)
    with pytest.raises(AmaasError, match=r"^object is no input: give a text, a path"):
        client.predict("rows", object())
    with pytest.raises(AmaasError, match=r"^set is no input"):
        client.predict("rows", {1, 2})
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(AmaasError, match="without end"):
        client.predict("rows", circle)
    with pytest.raises(AmaasError, match="different lengths"):
        client.infer("sum", [[1, 2], [1]])


def test_bytes_within_a_tensor_are_text_and_no_file() -> None:
    def describe() -> dict[str, Any]:
        return {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [-1]}]}

    for value in ([b"a", "\u00e9".encode()], np.array([b"a", "\u00e9".encode()]), ["a", "\u00e9"]):
        assert json.loads(inputs.tensors(value, describe))["inputs"][0]["data"] == ["a", "\u00e9"]
    for value in ([b"\x89PNG"], np.array([b"a", b"\xff"])):
        with pytest.raises(AmaasError, match=r"a tensor's text is UTF-8, which b'.*' is not: decode it"):
            inputs.tensors(value, describe)


def test_a_body_is_what_was_given() -> None:
    def describe() -> dict[str, Any]:
        raise AssertionError("not needed")

    for value in ({"inputs": [1], "parameters": {"top_k": 1}}, {"input": None}, {"input": [1], "id": "x"}):
        assert json.loads(inputs.body(value, None, describe).content) == value
    with pytest.raises(AssertionError):
        inputs.body({"input": 1, "age": 2}, None, describe)  # a row with a column of that name


# ---- explanations, answers


def test_explanations_of_the_same_values(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shoe.png").write_bytes(PNG)
    options = {"method": "occlusion"}
    expected = client.explain("digits", PNG, options=options)
    for value in (picture(), np.asarray(picture()), "shoe.png", Path("shoe.png")):
        explained = client.explain("digits", value, options=options)
        assert explained == expected and explained.method == "occlusion" and explained.attributions
    assert isinstance(client.explain("digits", picture(), picture=True), bytes)


def test_answers_are_dicts_with_names(client: Client) -> None:
    answer = client.predict("digits", PNG)
    assert isinstance(answer, dict) and json.loads(json.dumps(answer)) == answer
    best = answer["predictions"][0]
    assert (answer.model, answer.version, answer.label, answer.score) == ("digits", 1, best["label"], best["score"])
    assert answer.predictions[0] == best and answer.predictions[0].label == best["label"]
    assert answer.answer_id == answer["answer_id"]
    with pytest.raises(AttributeError, match=r"this answer has no embedding, but .*predictions"):
        answer.embedding  # noqa: B018 - to be looked up
    assert not hasattr(answer, "outputs")
    inferred = client.infer("sum", [[1, 2]])
    assert (inferred.model, inferred.version, inferred.data("y")) == ("sum", 1, [21.0])
    with pytest.raises(AttributeError, match="no output 'z', but y"):
        inferred.data("z")


def test_nothing_of_numpy_or_pillow_is_imported() -> None:
    code = "import sys; from amaas.api import inputs, pictures, answers; import amaas.client; print(*sys.modules)"
    shown = subprocess.check_output([sys.executable, "-c", code], env=PLAIN, text=True).split()
    assert not {"numpy", "PIL"} & set(shown)
