"""The console on the running cloud: its files to anyone, and nothing else without a token."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.cloud.conftest import ROOT, Cloud

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def page(cloud: Cloud) -> httpx.Response:
    return httpx.get(cloud.access["console_url"], timeout=60)


def test_the_page_needs_no_token_and_lets_in_no_other_script(page: httpx.Response) -> None:
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert (page.headers["X-Frame-Options"], page.headers["Cache-Control"]) == ("DENY", "no-cache")


def test_what_the_page_names_is_there_compressed_and_for_ever(cloud: Cloud, page: httpx.Response) -> None:
    named = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(named) >= 3
    for address in named:
        answer = httpx.get(httpx.URL(cloud.access["console_url"]).join(address), timeout=60)
        assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, "gzip"), address
        assert "immutable" in answer.headers["Cache-Control"]
        known = {"If-None-Match": answer.headers["ETag"]}
        assert httpx.get(answer.url, headers=known, timeout=60).status_code == 304


def test_a_file_of_another_build_is_told_so(cloud: Cloud) -> None:
    answer = httpx.get(f"{cloud.access['console_url']}/0000000000000000/app.js", timeout=60)
    assert answer.status_code == 404
    assert "load the page anew" in answer.json()["error"]


def test_the_apis_page_is_there_for_anyone_and_names_its_own_script(cloud: Cloud) -> None:
    answer = httpx.get(f"{cloud.access['api_url']}/docs", timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Encoding"] == "gzip" and "script-src 'sha256-" in answer.text
    assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
    paths = cloud.api.get("/openapi.json").json()["paths"].values()
    operations = {one["operationId"] for path in paths for one in path.values()}
    assert operations == set(re.findall(r'data-operation="(\w+)"', answer.text))


def test_a_form_is_answered_through_the_gateway(cloud: Cloud) -> None:
    image = (ROOT / "examples" / "images" / "fashion-0006-coat.png").read_bytes()
    plain = cloud.api.post("/models/fashion-mnist/predict", content=image, headers={"Content-Type": "image/png"})
    form = cloud.api.post("/models/fashion-mnist/predict", files={"file": ("coat.png", image)}, data={"top_k": "1"})
    assert form.status_code == 200, form.text
    assert form.json()["predictions"] == plain.json()["predictions"][:1]


@pytest.mark.parametrize("path", ["/models", "/costs", "/tokens", "/openapi.json", "/v2/health/live"])
def test_nothing_else_is_answered_without_a_token(cloud: Cloud, page: httpx.Response, path: str) -> None:
    assert page.status_code == 200  # what was let in just before opens nothing
    assert httpx.get(cloud.access["api_url"] + path, timeout=60).status_code == 401
    assert cloud.api.get(path).status_code == 200
