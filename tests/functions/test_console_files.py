"""How the console's files are served: to anyone, for ever once named, and with a policy that lets nothing else in."""

from __future__ import annotations

import hashlib
import json
import re

from functions.console import app, files
from tests.console.world import ConsoleService
from tests.support import load_event


def get(path: str, **headers: str) -> dict:
    event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": path, "queryStringParameters": None}
    event["headers"] = headers
    event["requestContext"] |= {"path": f"/v1{path}", "domainName": "example.com"}
    return app.handler(event, None)


def text(reply: dict) -> str:
    return ConsoleService.body(reply).decode()


def test_the_page_names_files_that_there_are() -> None:
    page = text(get("/console"))
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) >= 5
    for address in named:
        assert address.startswith("/v1/console/")
        assert get(address.removeprefix("/v1"))["statusCode"] == 200


def test_the_page_is_asked_for_anew_and_files_are_kept_for_ever() -> None:
    page, file = get("/console"), get(f"/console/{files.build()}/app.js")
    assert page["headers"]["Cache-Control"] == "no-cache"
    assert "immutable" in file["headers"]["Cache-Control"]
    for path, reply in (("/console", page), (f"/console/{files.build()}/app.js", file)):
        again = get(path, **{"If-None-Match": reply["headers"]["ETag"]})
        assert (again["statusCode"], again["body"]) == (304, "")


def test_files_are_compressed_for_those_who_take_it() -> None:
    path = f"/console/{files.build()}/core.js"
    small, plain = get(path, **{"Accept-Encoding": "gzip, br"}), get(path)
    assert small["headers"]["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain["headers"]
    assert text(small) == text(plain) == (files.STATIC / "core.js").read_text()
    assert len(small["body"]) < len(plain["body"]) / 2


def test_what_there_is_not_is_not_found() -> None:
    here = files.build()
    for path in ("0000000000000000/app.js", f"{here}/..%2Fapp.py", f"{here}/vendored.json"):
        assert get(f"/console/{path}")["statusCode"] == 404


def test_every_answer_has_the_policy() -> None:
    for path in ("/console", f"/console/{files.build()}/app.js"):
        headers = get(path)["headers"]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_markup_is_written_as_text_and_nothing_is_inline() -> None:
    for path in files.STATIC.glob("*.js"):
        source = path.read_text()
        for way in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "Storage."):
            assert way not in source or path.name == "htm-preact.js", f"{path.name} uses {way}"
    page = (files.STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]+src=)|<style|\son\w+=|\sstyle=", page)


def test_vendored_files_are_the_packages_own() -> None:
    vendored = json.loads((files.STATIC / "vendored.json").read_text())
    assert [*vendored] == ["htm-preact.js"]
    notice = (files.STATIC.parents[2] / "NOTICE").read_text()
    for name, source in vendored.items():
        assert hashlib.sha256((files.STATIC / name).read_bytes()).hexdigest() == source["sha256"]
        assert source["package"].replace("@", " ") in notice
