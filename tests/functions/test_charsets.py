"""Marks and charsets through the functions: the same text by every way in gets the same answer."""

from __future__ import annotations

import json

from functions.generate import app as generate
from functions.inference import app as inference
from functions.registry import app as registry
from shared.storage.memory import MemoryStore
from tests.functions.generating import CHAT, HI, models, pushed
from tests.functions.test_flow import push
from tests.functions.test_forward import Lambda, remote
from tests.functions.test_packages import embedder
from tests.support import Answer, call, linear

__all__ = ["models", "pushed", "remote"]  # fixtures

MARK = b"\xef\xbb\xbf"
TEXT = "the cat, anna and the cat"
ROWS = "a,b\n1,2\n3,4\n"
TABLE = {"task": "tabular-regression", "preprocess": {"kind": "table", "columns": [{"name": "a"}, {"name": "b"}]}}


def predict(model: str, body: bytes, kind: str, path: str = "") -> Answer:
    return call(inference.handler, "POST", path or f"/models/{model}/predict", body, headers={"Content-Type": kind})


WAYS = [
    (MARK + TEXT.encode(), "text/plain"),
    (MARK + TEXT.encode(), 'text/plain; charset="UTF-8"'),
    (TEXT.encode("utf-16-le"), "text/plain; charset=utf-16le"),
    (TEXT.encode("utf-16"), "text/plain; charset=UTF-16"),
    (TEXT.encode("koi8-r"), "text/plain; format=flowed; charset=koi8-r"),
    (MARK + json.dumps({"input": TEXT}).encode(), "application/json"),
    (json.dumps({"input": TEXT}).encode("utf-16"), "application/json; charset=utf-16"),
    (MARK + json.dumps({"input": TEXT}).encode(), ""),
]


def test_a_text_is_the_same_however_it_is_written(store: MemoryStore) -> None:
    assert push(store, "words", embedder())["state"] == "registered"
    plain = predict("words", TEXT.encode(), "text/plain")
    assert plain.status == 200
    for body, kind in WAYS:
        answer = predict("words", body, kind)
        assert (answer.status, answer.json) == (200, plain.json), (body, kind)
    for charset in ("klingon", "zip"):
        assert predict("words", TEXT.encode(), f"text/plain; charset={charset}").status == 415
    broken = predict("words", b"caf\xe9", "text/plain; charset=utf-8")
    assert broken.status == 400 and "byte 3" in broken.json["error"]
    undeclared = predict("words", TEXT.encode("utf-16"), "text/plain")
    assert undeclared.status == 400 and "charset=utf-16le" in undeclared.json["error"]
    body = json.dumps({"model": "words", "input": TEXT})
    embeddings = [
        call(inference.handler, "POST", "/v1/embeddings", raw, headers={"Content-Type": kind}).json["data"]
        for raw, kind in (
            (body.encode(), "application/json"),
            (MARK + body.encode(), "application/json"),
            (body.encode("utf-16-be"), "application/json; charset=utf-16be"),
        )
    ]
    assert embeddings[1:] == embeddings[:1] * 2


def test_rows_and_tensors_are_the_same_however_they_are_written(store: MemoryStore) -> None:
    files = {"model.onnx": linear([[1.0], [2.0]]), "amaas.json": json.dumps(TABLE).encode()}
    assert push(store, "sums", files)["state"] == "registered"
    plain = predict("sums", ROWS.encode(), "text/csv")
    assert plain.status == 200 and len(plain.json["results"]) == 2
    for body, kind in (
        (MARK + ROWS.encode(), "text/csv"),
        (ROWS.encode("utf-16"), "text/csv; charset=utf-16; header=present"),
        (ROWS.encode("cp1252"), "text/csv; charset=windows-1252"),
        (MARK + b'{"inputs": [[1, 2], [3, 4]]}', "application/json; charset=utf-8"),
    ):
        answer = predict("sums", body, kind)
        assert (answer.status, answer.json) == (200, plain.json), kind
    assert predict("sums", ROWS.encode("utf-16"), "text/csv").status == 400
    tensors = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    sent = json.dumps(tensors).encode()
    path = "/v2/models/sums/infer"
    told = predict("sums", sent, "application/json", path=path)
    assert told.status == 200
    assert predict("sums", MARK + sent, "application/json", path=path).json == told.json
    wide = sent.decode().encode("utf-16")
    assert predict("sums", wide, "application/json; charset=utf-16", path=path).json == told.json
    # where bytes are behind the JSON, no charset is that of both
    head = json.dumps({"inputs": [{**tensors["inputs"][0], "data": [], "parameters": {"binary_data_size": 8}}]})
    head = head.replace('"data": [], ', "")
    headers = {"Content-Type": "application/json; charset=utf-16", "Inference-Header-Content-Length": str(len(head))}
    behind = call(inference.handler, "POST", path, head.encode() + b"\0\0\x80?\0\0\0@", headers=headers)
    assert behind.json["outputs"] == told.json["outputs"]


def test_what_administrators_send_may_have_a_mark(store: MemoryStore) -> None:
    push(store, "sums", {"model.onnx": linear([[1.0], [2.0]])})
    body, path = MARK + b'{"version": 1}', "/models/sums/aliases/canary"
    for kind, status in (("application/json", 200), ("application/json; charset=x", 400)):
        assert call(registry.handler, "PUT", path, body, headers={"Content-Type": kind}).status == status


def test_a_text_that_is_gone_on_with_is_the_same_however_it_is_written(remote: Lambda) -> None:
    answers = [
        predict("tiny", body, kind)
        for body, kind in (
            (b"hi", "text/plain"),
            (MARK + b"hi", "text/plain"),
            ("hi".encode("utf-16"), "text/plain; charset=utf-16"),
            (MARK + b'{"input": "hi"}', "application/json"),
        )
    ]
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.json["usage"]["prompt_tokens"] for answer in answers}) == 1
    assert predict("tiny", b"hi", "text/plain; charset=x").status == 415
    chat = json.dumps({"model": "tiny", "messages": HI, "max_tokens": 2}).encode()
    used = [call(generate.handler, "POST", CHAT, raw).json["usage"] for raw in (chat, MARK + chat)]
    assert used[0]["prompt_tokens"] == used[1]["prompt_tokens"]
