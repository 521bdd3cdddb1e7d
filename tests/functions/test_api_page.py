"""The API's page as it is written and served: whole, small, and with no script but its own. tests/console uses it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.document import document
from api.page import page as written
from functions.console import app, files
from tests.support import load_event

DOCUMENT = document()
OPERATIONS = {one["operationId"]: one for path in DOCUMENT["paths"].values() for one in path.values()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "api.html"
    file.write_text(written(DOCUMENT))
    return file


def test_what_forms_begin_with_fits_the_schema(built: Path) -> None:
    [told] = re.findall(r'<script type="application/json" id="operations">(.*?)</script>', built.read_text())
    tried = 0
    for operation in json.loads(told):
        content = OPERATIONS[operation["id"]].get("requestBody", {}).get("content", {})
        for body in operation["bodies"]:
            schema = {"components": DOCUMENT["components"], **content[body["media"]]["schema"]}
            for example in body["examples"]:
                found = Draft202012Validator(schema).iter_errors(json.loads(example["text"]))
                assert [error.message for error in found] == [], (operation["id"], example)
                tried += 1
    assert tried > 35


def get(path: str, **headers: str) -> dict[str, Any]:
    event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": path, "headers": headers}
    event["queryStringParameters"] = None
    return app.handler(event, None)


def test_it_is_small_and_runs_nothing_but_its_own(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "API_PAGE", built)
    files.api_page.cache_clear()
    reply = get("/docs", **{"Accept-Encoding": "gzip"})
    policy = reply["headers"]["Content-Security-Policy"]
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; img-src blob:; base-uri 'none'; "
        r"form-action 'none'; connect-src 'self'; frame-ancestors 'none'",
        policy,
    )
    assert len(reply["body"]) * 3 // 4 < 80_000
    again = get("/docs", **{"If-None-Match": reply["headers"]["ETag"]})
    assert (again["statusCode"], again["body"]) == (304, "")
    files.api_page.cache_clear()
    monkeypatch.setattr(files, "API_PAGE", built.parent / "nothing")
    missing = get("/docs")
    assert missing["statusCode"] == 404 and "make build" in missing["body"]
    source = built.read_text()
    assert not re.search(r"\son\w+=\"|\sstyle=|innerHTML|insertAdjacentHTML|document\.write|eval\(|Storage\.", source)
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*", source) == []


def test_strange_words_of_a_document_stay_text() -> None:
    hostile = json.loads(json.dumps(DOCUMENT).replace("the model's name", "</script><script>alert(1)</script>"))
    assert "<script>alert" not in written(hostile)
