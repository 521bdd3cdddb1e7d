"""Forms to /predict and /explain: they get the answer that their content gets without one, or are refused in words."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.generate import app as generate
from functions.inference import app as inference
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.client.gateway import Service
from tests.cloud.generated_arguments import ROW
from tests.console.conftest import ROOT
from tests.console.world import register
from tests.functions.generating import models, pushed
from tests.functions.test_flow import push
from tests.functions.test_forward import Lambda, remote
from tests.support import Answer, call, linear

__all__ = ["models", "pushed", "remote"]  # fixtures

COAT = ROOT / "examples/images/fashion-0006-coat.png"
BAG = ROOT / "examples/images/fashion-0018-bag.png"
FOUR = ROOT / "examples/sounds/spoken-four.wav"
WINES = ROOT / "examples/tables/wine.csv"
TEXT = "Wer zuletzt lacht, lacht am besten, sagt man bei uns."
EMPTY = "multipart/form-data; boundary=b"
Files = list[tuple[str, tuple[str | None, bytes, str]]]
every = settings(max_examples=25, deadline=None)


def raw(model: str, body: bytes, kind: str, route: str = "predict", **query: str) -> Answer:
    headers = {"Content-Type": kind}
    return call(inference.handler, "POST", f"/models/{model}/{route}", body, headers=headers, query=query or None)


def form(model: str, files: Files | None = None, route: str = "predict", **fields: Any) -> Answer:
    """The same as HTTP libraries send it. fields: texts, or lists of texts for a field that is there several times."""
    values = [(name, one) for name, told in fields.items() for one in (told if isinstance(told, list) else [told])]
    parts = [(name, (None, value.encode(), "text/plain; charset=utf-8")) for name, value in values]
    sent = httpx.Request("POST", "http://x", files=[*(files or []), *parts])
    return raw(model, sent.read(), sent.headers.get("content-type", EMPTY), route)


def content(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def refusal(answer: Answer, status: int = 400) -> str:
    assert answer.status == status, answer.body
    return str(answer.json["error"])


@pytest.fixture
def bundled(store: MemoryStore) -> None:
    """The models that ship, of each kind of input."""
    for name, package in {
        "fashion": "fashion-mnist",
        "wine": "wine",
        "languages": "languages",
        "digits": "spoken-digits",
    }.items():
        register(Log(store), name, package)


def test_a_file_is_what_the_body_would_be(bundled: None) -> None:
    image, sound, table = COAT.read_bytes(), FOUR.read_bytes(), WINES.read_bytes()
    rows = json.dumps({"inputs": [ROW, ROW]}).encode()
    for model, body, kind, name in (
        ("fashion", image, "image/png", "coat.png"),
        ("fashion", image, "application/octet-stream", "coat"),
        ("digits", sound, "audio/wav", "four.wav"),
        ("wine", table, "text/csv", "wine.csv"),
        ("wine", rows, "application/json", "rows.json"),
        ("languages", TEXT.encode("utf-16"), "text/plain; charset=utf-16", "a.txt"),
        ("languages", TEXT.encode(), "text/plain", "a.unknown"),
    ):
        plain = content(raw(model, body, kind))
        assert content(form(model, [("anything", (name, body, kind))])) == plain, name
        if "charset" not in kind:
            assert content(form(model, [("file", (name, body, "application/octet-stream"))])) == plain, name
    several = [("file", ("a.unknown", TEXT.encode(), "application/octet-stream"))] * 2
    assert len(content(form("languages", several))["results"]) == 2
    assert content(raw("languages", TEXT.encode(), "application/octet-stream")) == content(
        raw("languages", TEXT.encode(), "text/plain")
    )
    assert "not UTF-8" in refusal(raw("languages", b"\xff\xd8\xff" * 9, "application/octet-stream"))
    excel = [("file", ("wine.csv", table, "application/vnd.ms-excel"))]
    assert content(form("wine", excel)) == content(raw("wine", table, "text/csv"))
    nameless = [("image", (None, image, "image/png"))]
    assert content(form("fashion", nameless)) == content(raw("fashion", image, "image/png"))


def test_fields_beside_a_file_are_options(bundled: None) -> None:
    image = COAT.read_bytes()
    file = [("file", ("coat.png", image, "image/png"))]
    assert content(form("fashion", file, top_k="2")) == content(raw("fashion", image, "image/png", top_k="2"))
    told = content(form("fashion", file, "explain", method="occlusion"))
    assert told == content(raw("fashion", image, "image/png", "explain", method="occlusion"))
    assert "nothing" in refusal(form("fashion", file, nothing="1"))
    assert "'top_k' is there twice" in refusal(form("fashion", file, top_k=["1", "2"]))
    semicolons = WINES.read_bytes().replace(b",", b";")
    rows = [("file", ("wine.csv", semicolons, "text/csv"))]
    told = content(form("wine", rows, delimiter="semicolon"))
    assert told == content(raw("wine", WINES.read_bytes(), "text/csv"))


def test_several_files_are_a_list(bundled: None) -> None:
    images = [base64.b64encode(path.read_bytes()).decode() for path in (COAT, BAG)]
    body = json.dumps({"inputs": images, "parameters": {"top_k": 1}}).encode()
    plain = content(raw("fashion", body, "application/json"))
    for name in ("file", "files[]"):
        files = [(name, (path.name, path.read_bytes(), "image/png")) for path in (COAT, BAG)]
        assert content(form("fashion", files, top_k="1")) == plain
    assert len(content(form("fashion", files[:1]))["results"]) == 1, "a name that ends in [] is a list of one, too"
    texts = [("file", (f"{n}.txt", text.encode(kind), f"text/plain; charset={kind}")) for n, text, kind in TEXTS]
    told = content(form("languages", texts))
    assert told == content(raw("languages", json.dumps({"inputs": [t for _, t, _ in TEXTS]}).encode(), ""))


TEXTS = [(1, TEXT, "utf-8"), (2, "Где мой зонт? Он был здесь вчера.", "koi8-r")]


def test_a_list_that_is_none_is_refused(bundled: None) -> None:
    image, table = COAT.read_bytes(), WINES.read_bytes()
    two = [("a", ("a.png", image, "image/png")), ("b", ("b.png", image, "image/png"))]
    assert "in fields of one name" in refusal(form("fashion", two))
    csvs = [("file", ("wine.csv", table, "text/csv"))] * 2
    assert "this model takes one in a call" in refusal(form("wine", csvs))
    mixed = [("file", ("a.png", image, "image/png")), ("file", ("b.wav", FOUR.read_bytes(), "audio/wav"))]
    assert "'b.wav' is 'audio/wav'" in refusal(form("fashion", mixed), 415)
    assert "'a.png' is 'image/png'" in refusal(form("languages", [mixed[0]] * 2), 415)
    assert "audio/wav" in refusal(form("fashion", mixed[1:]), 415)


def test_fields_are_the_columns_of_a_row(bundled: None) -> None:
    @every
    @given(st.fixed_dictionaries({name: st.floats(0, 2000) | st.just(value) for name, value in ROW.items()}))
    def same(row: dict[str, float]) -> None:
        typed = {name: repr(value) for name, value in row.items()}
        assert content(form("wine", **typed)) == content(
            raw("wine", json.dumps({"input": row}).encode(), "application/json")
        )

    same()
    typed = {name: str(value) for name, value in ROW.items()}
    told = content(form("wine", None, "explain", **typed))
    assert told == content(raw("wine", json.dumps({"input": typed}).encode(), "application/json", "explain"))
    assert "'alcohol' is there twice" in refusal(form("wine", **typed | {"alcohol": ["1", "2"]}))
    assert "sugar" in refusal(form("wine", **typed, sugar="1"))
    assert "13,2" in refusal(form("wine", **typed | {"alcohol": "13,2"}))
    assert "alcohol" in refusal(form("wine", **typed | {"alcohol": "1e999"}))


def test_gaps_and_names_that_forms_have_to_quote(store: MemoryStore) -> None:
    columns = [{"name": 'a "b"'}, {"name": "ü%", "missing": 7}]
    package = {"task": "tabular-regression", "preprocess": {"kind": "table", "columns": columns}}
    files = {"model.onnx": linear([[1.0], [2.0]]), "amaas.json": json.dumps(package).encode()}
    assert push(store, "sums", files)["state"] == "registered"
    assert content(form("sums", **{'a "b"': "1", "ü%": ""}))["value"] == 15.0
    assert content(form("sums", **{'a "b"': " 1e0 ", "ü%": "-2"}))["value"] == -3.0


def test_texts_are_fields(bundled: None) -> None:
    @every
    @given(st.text(st.characters(codec="utf-8"), max_size=200))
    def same(text: str) -> None:
        plain = raw("languages", json.dumps({"input": text}).encode(), "application/json")
        told = form("languages", text=text)
        assert (told.status, told.json.get("predictions")) == (plain.status, plain.json.get("predictions"))

    same()
    many = content(raw("languages", json.dumps({"inputs": [TEXT, "hi"], "parameters": {"top_k": 1}}).encode(), ""))
    assert content(form("languages", text=[TEXT, "hi"], top_k="1")) == many
    assert len(content(form("languages", **{"text[]": "hi"}))["results"]) == 1
    wide = [("_charset_", (None, b"utf-16", "")), ("text", (None, TEXT.encode("utf-16"), ""))]
    own = [("text", (None, TEXT.encode("koi8-r", "replace"), "text/plain; charset=koi8-r"))]
    for files, text in ((wide, TEXT), (own, TEXT)):
        assert content(form("languages", files)) == content(raw("languages", text.encode(), "text/plain"))
    assert "a field of the form: the text is not UTF-8" in refusal(form("languages", [("text", (None, b"\xe9", ""))]))
    assert "several texts" in refusal(form("languages", text=["a", "b"], pair="c"))
    pair = content(raw("languages", b'{"input": {"text": "a", "pair": "b"}}', "application/json"))
    assert content(form("languages", text="a", pair="b")) == pair != content(form("languages", text="a"))
    assert "charset" in refusal(form("languages", [("text", (None, b"a", "text/plain; charset=zip"))]), 415)


def test_what_is_no_form_for_the_model_is_told(bundled: None, store: MemoryStore) -> None:
    push(store, "tensors", {"model.onnx": linear([[1.0], [2.0]])})
    image = [("file", ("coat.png", COAT.read_bytes(), "image/png"))]
    unchosen = b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--'
    for body in (b"--b--", unchosen):
        assert "the form has no input: send a field `text`" in refusal(raw("languages", body, EMPTY))
    assert "the form has no input: send it as a file" in refusal(form("fashion", text="a coat"))
    assert "application/json" in refusal(form("tensors", image), 415)
    tensors = json.dumps({"inputs": {"x": [[1.0, 2.0]]}}).encode()
    assert content(form("tensors", [("file", ("x.json", tensors, "application/octet-stream"))]))["outputs"]
    whole = httpx.Request("POST", "http://x", files=image)
    body, kind = whole.read(), whole.headers["content-type"]
    assert "no end" in refusal(raw("fashion", body[:-6], kind))
    assert "no boundary" in refusal(raw("fashion", body, "multipart/form-data"))
    assert "'multipart/mixed" in refusal(raw("fashion", body, kind.replace("form-data", "mixed")), 415)


def test_models_that_write_take_forms(remote: Lambda) -> None:
    plain = raw("tiny", b"hi", "text/plain", max_tokens="3")
    for told in (form("tiny", text="hi", max_tokens="3"), form("tiny", [("f", ("a.txt", b"hi", ""))], max_tokens="3")):
        assert content(told)["text"] == content(plain)["text"]
    assert len(content(form("tiny", text=["hi", "you"], max_tokens="2"))["results"]) == 2
    refused = call(generate.forwarded, "POST", "/models/tiny/explain", b"--b--", headers={"content-type": EMPTY})
    assert "the form has no input" in refusal(refused)


@pytest.fixture
def service(store: MemoryStore, bundled: None) -> Iterator[Service]:
    made = Service(store)
    yield made
    made.close()


def test_curl_and_requests_send_them(service: Service) -> None:
    token = f"Authorization: Bearer {service.tokens['ann']}"
    address = f"{service.api_url}/models"

    def curl(model: str, *fields: str) -> Any:
        command = ["curl", "--silent", "--header", token, f"{address}/{model}/predict"]
        done = subprocess.run(
            [*command, *(part for field in fields for part in ("-F", field))], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    assert curl("fashion", f"file=@{COAT}", "top_k=1")["predictions"][0]["label"] == "Coat"
    assert [one["predictions"][0]["label"] for one in curl("fashion", f"file=@{COAT}", f"file=@{BAG}")["results"]] == [
        "Coat",
        "Bag",
    ]
    rows = len(list(csv.reader(io.StringIO(WINES.read_text())))) - 1
    assert len(curl("wine", f"file=@{WINES}")["results"]) == rows
    assert curl("languages", f"text={TEXT}")["predictions"][0]["label"] == "German"
    assert curl("digits", f"file=@{FOUR}")["predictions"][0]["label"] == "four"
    with COAT.open("rb") as file:
        headers = dict([token.split(": ")])
        told = requests.post(f"{address}/fashion/predict", files={"file": file}, headers=headers, timeout=60)
    assert told.json()["predictions"][0]["label"] == "Coat"
    with WINES.open("rb") as file:
        told = requests.post(f"{address}/wine/predict", files={"file": file}, headers=headers, timeout=60)
    assert len(told.json()["results"]) == rows
