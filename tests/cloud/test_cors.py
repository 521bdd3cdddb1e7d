"""A page of another origin calls the API: its preflight at the gateway, then what it reads, in Chromium."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cloud.conftest import ROOT, Cloud
from tests.console.conftest import opened_browser

pytestmark = pytest.mark.cloud
ORIGIN = "https://page.example"
PATHS = [
    "/models",
    "/models/wine/predict",
    "/models/wine/versions/1/predict",
    "/v2/models/wine/infer",
    "/v2",
    "/tokens/x",
]
CALL = """async ([url, token, method, body, headers]) => {
  const answer = await fetch(url, {method, body, headers: {Authorization: `Bearer ${token}`, ...headers}});
  return {status: answer.status, text: await answer.text(), headers: Object.fromEntries(answer.headers)};
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed behind this module: in the next one, asyncio's clients have loops of their own."""
    yield from opened_browser()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of an empty page: another port is another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            page = b"<!doctype html><title>a page</title>"
            self.wfile.write((ROOT / "examples" / "page.html").read_bytes() if self.path == "/example" else page)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass  # nothing on the tests' terminal

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser, elsewhere: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(elsewhere)
    yield page
    page.close()


def ask(cloud: Cloud, page: Page, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> Any:
    given = token or cloud.access["token"]
    text = None if body is None else json.dumps(body)
    headers = headers if text is None else {"Content-Type": "application/json", **headers}  # else it is a text
    return page.evaluate(CALL, [cloud.access["api_url"] + path, given, method, text, headers])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_needs_no_token_and_allows_what_calls_send(cloud: Cloud, path: str, method: str) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    headers["Access-Control-Request-Headers"] = "authorization,content-type,idempotency-key"
    answer = httpx.options(cloud.access["api_url"] + path, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert method in answer.headers["Access-Control-Allow-Methods"].split(",")
    assert {"Authorization", "*"} <= set(answer.headers["Access-Control-Allow-Headers"].split(","))
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_page_predicts_and_reads_what_else_is_told(cloud: Cloud, page: Page) -> None:
    answer = ask(cloud, page, "POST", "/models/languages/predict", {"input": "Where is the nearest station, please?"})
    assert answer["status"] == 200, answer
    assert json.loads(answer["text"])["predictions"][0]["label"]
    assert answer["headers"]["x-amaas-version"] == "1"
    assert {"server-timing", "x-amaas-revision", "x-amaas-answer-id"} <= set(answer["headers"])


def test_a_page_reads_errors_of_functions_and_of_the_gateway(cloud: Cloud, page: Page) -> None:
    for path, token, status, code in [
        ("/models/languages/predict", "", 400, "bad_input"),
        ("/models/nobody/predict", "", 404, "not_found"),
        ("/models/languages/predict", "amaas_000000000000_" + "x" * 43, 401, "unauthenticated"),
        ("/no/such/route", "", 404, "not_found"),
    ]:
        answer = ask(cloud, page, "POST", path, {}, token)
        told = json.loads(answer["text"])
        assert (answer["status"], told.get("code")) == (status, code), answer
        assert told["error"] and told["request_id"] == answer["headers"]["x-request-id"]


def test_the_example_page_predicts(cloud: Cloud, page: Page, elsewhere: str) -> None:
    page.goto(f"{elsewhere}example")
    page.get_by_label("API").fill(cloud.access["api_url"])
    page.get_by_label("Token").fill(cloud.access["token"])
    shown = page.get_by_role("status")
    page.get_by_label("A file").set_input_files(next((ROOT / "examples" / "images").glob("*ankle-boot.png")))
    page.get_by_role("button", name="Predict").click()
    expect(shown).to_contain_text("Ankle boot")
    page.get_by_label("A file").set_input_files([])
    page.get_by_label("Model").fill("languages")
    page.get_by_label("or a text").fill("¿Dónde está la estación?")
    page.get_by_role("button", name="Predict").click()
    expect(shown).to_contain_text("Spanish")
    page.get_by_label("Model").fill("wine")
    page.get_by_label("A file").set_input_files(ROOT / "examples" / "tables" / "wine.csv")
    page.get_by_role("button", name="Predict").click()
    expect(shown).to_contain_text('"results"')
    page.get_by_label("Model").fill("nobody")
    page.get_by_role("button", name="Predict").click()
    expect(shown).to_contain_text("there is no model")


def test_a_page_sends_and_fetches_files_by_presigned_urls(cloud: Cloud, page: Page) -> None:
    announced = {"files": [{"name": "texts.jsonl", "size": 8}]}
    job = json.loads(ask(cloud, page, "POST", "/models/languages/batch", announced)["text"])
    [target] = job["files"]
    sent = page.evaluate(
        "async ([url, headers]) => (await fetch(url, {method: 'PUT', body: '\"Hallo\"\\n', headers})).status",
        [target["url"], target["headers"]],
    )
    assert sent == 200


def test_errors_of_the_gateway_are_those_of_the_template(cloud: Cloud) -> None:
    refused = httpx.get(cloud.access["api_url"] + "/models", headers={"Origin": ORIGIN}, timeout=60)
    assert refused.status_code == 401
    assert list(refused.json()) == ["error", "code", "request_id"]
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-request-id" in refused.headers["Access-Control-Expose-Headers"]
