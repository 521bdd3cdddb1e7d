"""What counts as an input, and how it reaches the model: by the kinds of files, rows, and what is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import structs

from shared import batch_keys
from shared.errors import BadInput, Conflict
from shared.jobs.batch import plan, progress, sources
from shared.jobs.batch.requests import InputFile
from shared.jobs.batch.rows import build_request
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Column, Csv, Table
from shared.storage.memory import MemoryStore
from shared.values.numbers import from_json
from shared.values.place import in_input
from tests.jobs_batch.world import IMAGES, MANIFEST, a_job, answers, chunks, echo, run


def predict_files(
    files: dict[str, bytes], manifest: Manifest = MANIFEST, **options: Any
) -> tuple[list[Any], list[dict[str, Any]]]:
    """The requests that the model got, as (body, content type), and the answers."""
    store = MemoryStore()
    requests: list[tuple[bytes, str]] = []
    job = a_job(store, files, **options)

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        requests.append((body, content_type))
        return {"ok": True}

    run(store, job, predict, manifest=manifest)
    return requests, answers(store, job)


def test_lines_are_requests_and_their_ids_come_back() -> None:
    body = b'\xef\xbb\xbf{"inputs": {"x": [[1, 2]]}}\r\n\r\n'
    body += b'{"id": "a-7", "input": {"text": "hi"}}\n{"id": 8, "input": "x"}'
    requests, lines = predict_files({"a.jsonl": body})
    assert [json.loads(body) for body, _ in requests] == [
        json.loads(line) for line in body[3:].split(b"\n") if line.strip()
    ]
    assert {kind for _, kind in requests} == {"application/json"}
    assert [line.get("id") for line in lines] == [None, "a-7", 8]
    assert [line["input"] for line in lines] == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"]


def test_files_are_inputs_with_the_type_that_their_name_says() -> None:
    requests, lines = predict_files({"b/x.png": b"1", "b/y.JPG": b"2", "z": b"3"}, IMAGES)
    assert requests == [(b"1", "image/png"), (b"2", "image/jpeg"), (b"3", "application/octet-stream")]
    assert [line["input"] for line in lines] == ["b/x.png", "b/y.JPG", "z"]


def test_an_empty_file_is_an_input_beside_the_others() -> None:
    """A folder with one was refused as a whole."""
    assert msgspec.convert({"name": "b.png", "size": 0}, InputFile).size == 0
    requests, lines = predict_files({"a.png": b"1", "b.png": b"", "c.jsonl": b"", "d.csv": b"", "e.png": b"2"}, IMAGES)
    assert requests == [(b"1", "image/png"), (b"", "image/png"), (b"2", "image/png")]
    assert [line["input"] for line in lines] == ["a.png", "b.png", "e.png"]


@pytest.mark.parametrize("head", ["x", "y"])
def test_the_decimal_sign_of_a_job_is_that_of_tensors_too(head: str) -> None:
    """By the name of an input, and as a part of its one vector."""
    manifest = Manifest(name="m", task="tensor", inputs=[Tensor("x", "FP32", [-1, 1])])
    requests, _ = predict_files(
        {"a.csv": f"{head}\n1,5\n2\n".encode()}, manifest, options={"delimiter": ";", "decimal": ","}
    )
    assert [json.loads(body) for body, _ in requests] == [{"inputs": {"x": [[1.5]]}}, {"inputs": {"x": [[2]]}}]


def test_csv_rows_become_tensors_by_name_or_as_one_vector() -> None:
    manifest = Manifest(name="m", task="tensor", inputs=[Tensor("p", "FP32", [-1, 1]), Tensor("q", "BYTES", [-1])])
    requests, _ = predict_files({"a.csv": b'q,p,more\n"a, b",1.5,z\n'}, manifest)
    assert json.loads(requests[0][0]) == {"inputs": {"p": [[1.5]], "q": ["a, b"]}}
    requests, lines = predict_files({"a.csv": b"id,p,q\nr1,1,2\nr2,3,4\n"}, MANIFEST)
    assert [json.loads(body)["inputs"]["x"] for body, _ in requests] == [[[1.0, 2.0]], [[3.0, 4.0]]]
    assert [line["id"] for line in lines] == ["r1", "r2"]


def test_a_column_may_be_an_optional_input() -> None:
    scale = Manifest(
        name="m", task="tensor", inputs=[Tensor("p", "FP32", [-1, 1])], optional=[Tensor("scale", "FP32", [1])]
    )
    assert json.loads(predict_files({"a.csv": b"p,scale\n1,3\n"}, scale)[0][0][0]) == {
        "inputs": {"p": [[1.0]], "scale": [3.0]}
    }
    assert json.loads(predict_files({"a.csv": b"p,more\n1,3\n"}, scale)[0][0][0]) == {"inputs": {"p": [[1.0]]}}


def test_a_row_that_does_not_fit_is_an_error_of_its_own() -> None:
    body = b'p,q\n1,2\n1\n1,x\n1,"2\n3,4\n'
    requests, lines = predict_files({"a.csv": body})
    assert len(requests) == 2
    assert [line.get("status") for line in lines] == [None, 400, 400, 400, None]
    assert [line.get("code") for line in lines] == [None, "bad_input", "bad_input", "bad_input", None]
    assert "2" in lines[1]["error"] and "'x'" in lines[2]["error"] and "not closed" in lines[3]["error"]


def test_marks_of_inches_and_line_ends_of_old_computers_cost_no_row() -> None:
    for body in (b'p,q\n1,2\n3,4 "\n5,6\n7,8 "\n9,9\n', b"p,q\r1,2\r3,4\r\n\r5,6\n7,8\r9,9"):
        _, lines = predict_files({"a.csv": body})
        assert len(lines) == 5


def test_a_declared_column_called_id_is_the_models() -> None:
    table = Manifest(name="m", task="tabular", preprocess=Table(columns=[Column(name="id"), Column(name="b")]))
    assert json.loads(predict_files({"a.csv": b"id,b\n1,2\n"}, table)[0][0][0]) == {"input": {"id": "1", "b": "2"}}


def test_a_column_twice_is_an_error_of_each_row_of_its_file_alone() -> None:
    _, lines = predict_files({"a.csv": b"p,p\n1,2\n3,4\n", "b.csv": b"p,q\n5,6\n"})
    assert [line.get("status") for line in lines] == [400, 400, None]
    assert "more than once" in lines[0]["error"]


def test_a_dialect_of_the_package_or_of_the_job() -> None:
    table = Manifest(name="m", task="tabular", preprocess=Table(columns=[Column(name="a"), Column(name="b")]))
    body = b'"a";b\n1,5;2\n"3";4,25\n'
    expected = [{"input": {"a": 1.5, "b": 2}}, {"input": {"a": 3, "b": 4.25}}]
    for said in ({"csv": Csv(delimiter=";", decimal=",")}, {"options": {"delimiter": "semicolon", "decimal": ","}}):
        requests, _ = predict_files({"a.csv": body}, table, **said)
        assert [json.loads(request) for request, _ in requests] == expected


def test_a_plan_of_an_earlier_release_is_worked_off_by_its_rules() -> None:
    """It has counted one record where quotes are open: the worker must not find two."""
    store = MemoryStore()
    job = a_job(store, {"a.csv": b'p,q\n1,"2\n3,4\n5,6"\n7,8\n'})
    plan.create(store, job)
    [chunk] = chunks(store, job)
    old = structs.replace(chunk, delimiter="", count=2)
    assert len(list(sources.read_inputs(store, job, old, MANIFEST))) == 2
    assert len(list(sources.read_inputs(store, job, chunk, MANIFEST))) == chunk.count


def test_other_tasks_get_a_row_as_an_object_and_one_column_of_bytes_as_it_is() -> None:
    words = Manifest(name="m", task="text-classification")
    assert build_request({"any": "hi"}, words) == (b'{"input":"hi"}', "application/json")
    assert build_request({"text": "a", "pair": "b"}, words) == (
        b'{"input":{"text":"a","pair":"b"}}',
        "application/json",
    )
    table = Manifest(name="m", task="tabular", preprocess=Table(columns=[Column(name="p")]))
    assert build_request({"p": "1"}, table) == (b'{"input":{"p":"1"}}', "application/json")
    assert build_request({"image": b"png"}, IMAGES) == (b"png", "application/octet-stream")
    with pytest.raises(BadInput, match="the only column"):
        build_request({"image": b"png", "label": "x"}, IMAGES)


@pytest.mark.parametrize(
    ("datatype", "text", "value"),
    [("INT64", " 7", 7), ("BOOL", "True", True), ("FP32", "1e3", 1000.0), ("BYTES", "7", "7"), ("FP16", "-2", -2.0)],
)
def test_text_becomes_what_the_model_takes(datatype: str, text: str, value: object) -> None:
    manifest = Manifest(name="m", task="tensor", inputs=[Tensor("x", datatype, [-1])])
    assert json.loads(build_request({"x": text}, manifest)[0]) == {"inputs": {"x": [value]}}


@pytest.mark.parametrize(("datatype", "text"), [("INT64", "1.5"), ("FP32", ""), ("FP32", "nan"), ("BOOL", "perhaps")])
def test_text_that_is_no_such_value_is_refused(datatype: str, text: str) -> None:
    manifest = Manifest(name="m", task="tensor", inputs=[Tensor("x", datatype, [-1])])

    def read() -> None:
        body, _ = build_request({"x": text}, manifest)
        from_json(json.loads(body)["inputs"]["x"], datatype, in_input("x"))

    with pytest.raises(BadInput, match="'x'"):
        read()


def test_an_explicit_kind_overrides_file_names() -> None:
    requests, _ = predict_files({"data.txt": b'{"n": 1}\n{"n": 2}\n'}, kind="jsonl")
    assert len(requests) == 2


@pytest.mark.parametrize("name", ["a.jsonl.gz", "images.zip"])
def test_compressed_files_are_refused(name: str) -> None:
    store = MemoryStore()
    with pytest.raises(BadInput, match="unpack it"):
        plan.create(store, a_job(store, {name: b"x"}))


def test_no_inputs_make_no_plan() -> None:
    store = MemoryStore()
    with pytest.raises(BadInput, match=r"no input in \['empty\.jsonl', 'head\.csv'\]: a CSV has one on each line"):
        plan.create(store, a_job(store, {"empty.jsonl": b"\n\n", "head.csv": b"a,b\n"}))
    with pytest.raises(BadInput, match="no input under batch/j1/in/: send files"):
        plan.create(MemoryStore(), a_job(MemoryStore(), {}))


def test_inputs_too_large_are_errors_and_their_neighbors_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_INPUT", 40)
    monkeypatch.setattr(plan, "BLOCK", 20)  # of which the planner makes chunks, in the same proportion
    requests, lines = predict_files(
        {"a.jsonl": b'{"n": 1}\n"' + b"x" * 50 + b'"\n{"n": 2}\n', "b.png": b"y" * 41, "c.png": b"z"}
    )
    assert len(requests) == 3
    assert [line.get("status") for line in lines] == [None, 413, None, 413, None]


def test_a_file_that_was_replaced_after_the_plan_stops_its_chunks() -> None:
    store = MemoryStore()
    job = a_job(store, {"a.jsonl": b'{"n": 1}\n'})
    plan.create(store, job)
    store.put(batch_keys.batch_input("j1", "a.jsonl"), b'{"n": 9}\n')
    with pytest.raises(Conflict, match="replaced"):
        run(store, job)
    assert answers(store, job) == []


def test_a_file_that_was_removed_after_the_plan_is_a_failed_input() -> None:
    store = MemoryStore()
    job = a_job(store, {"a.png": b"1", "b.png": b"2"})
    plan.create(store, job)
    store.delete(batch_keys.batch_input("j1", "a.png"))
    run(store, job, lambda body, kind: {}, manifest=IMAGES)
    assert [line.get("status") for line in answers(store, job)] == [404, None]


def test_a_bug_that_one_input_shows_costs_the_others_nothing() -> None:
    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        return {"value": 1 / json.loads(body)}

    store = MemoryStore()
    job = a_job(store, {"a.jsonl": b"1\n0\n2\n"})
    run(store, job, predict)
    lines = answers(store, job)
    assert [line.get("status") for line in lines] == [None, 500, None]
    assert "division" not in lines[1]["error"]


def test_large_files_are_divided_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BLOCK", 25)
    store = MemoryStore()
    job = a_job(store, {"a.jsonl": b"".join(b'{"n": %d}\n' % n for n in range(10))})
    assert plan.create(store, job).inputs == 10
    assert max(chunk.length for chunk in chunks(store, job)) <= 25
    run(store, job)
    assert [line["prediction"]["echo"]["n"] for line in answers(store, job)] == list(range(10))


def test_failures_are_listed_in_pages() -> None:
    store = MemoryStore()
    job = a_job(store, {"a.jsonl": b"".join(b'"refused"\n' if n % 3 else b"1\n" for n in range(20))}, chunk=4)
    run(store, job, echo)
    pages, after = [], None
    while True:
        page, after = progress.list_failures(store, "j1", after, 3)
        pages.append([line["index"] for line in page])
        if after is None:
            break
    assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)
    assert [index for page in pages for index in page] == [n for n in range(20) if n % 3]
    for cursor in ("", "x", "1.", "1.2.3"):
        with pytest.raises(BadInput, match="not a cursor"):
            progress.list_failures(store, "j1", cursor, 3)


def test_outputs_are_listed_in_pages() -> None:
    store = MemoryStore()
    job = a_job(store, {"a.jsonl": b"1\n" * 10}, chunk=2)
    run(store, job)
    first, after = progress.list_outputs(store, "j1", None, 3, 60)
    rest, end = progress.list_outputs(store, "j1", after, 3, 60)
    assert ([row["chunk"] for row in first + rest], end) == ([0, 1, 2, 3, 4], None)
    assert first[0]["url"] == "memory:///batch/j1/out/000000.jsonl"
