"""The API's page in Chromium: all operations are found, read by anyone, and called from their forms."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from api.document import document
from tests.client.gateway import Call, Handler
from tests.cloud.generated_arguments import ROW
from tests.console.conftest import ROOT
from tests.console.test_keyboard import MISSED, walked
from tests.console.test_looks import violations
from tests.console.world import ConsoleService

DOCUMENT = document()
OPERATIONS = {one["operationId"]: one for path in DOCUMENT["paths"].values() for one in path.values()}
COAT = ROOT / "examples/images/fashion-0006-coat.png"
FILE = "File (sent with its own type)"
BIG = 2**53 + 1


def form(page: Page, operation: str) -> Locator:
    page.get_by_role("button", name=f"Try {operation}", exact=True).click()
    return page.get_by_role("form", name=f"Try {operation}", exact=True)


def test_all_operations_schemas_and_errors_are_there_without_javascript(api_page: Callable[..., Page]) -> None:
    page = api_page(java_script_enabled=False)
    assert {one.get_attribute("id") for one in page.locator("article:not([id^='schema-'])").all()} == {*OPERATIONS}
    schemas = {one.get_attribute("id") for one in page.locator("article[id^='schema-']").all()}
    assert schemas == {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]}
    targets = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((one) => one.getAttribute('href'))")
    known = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => '#' + one.id)")
    assert set(targets) <= set(known) and len(known) == len(set(known))
    expect(page.locator("#predict")).to_contain_text("the model's name")
    expect(page.get_by_label("Token", exact=True)).to_be_hidden()


def test_it_is_searched_and_linked(api_page: Callable[..., Page]) -> None:
    page = api_page()
    page.get_by_label("Search").fill("alias rollback")
    expect(page.locator("#found")).to_have_text(re.compile(rf"^\d+ of {len(OPERATIONS)} operations$"))
    expect(page.locator("#rollbackAlias")).to_be_visible()
    expect(page.locator("#predict")).to_be_hidden()
    page.evaluate("location.hash = '#predict'")
    expect(page.locator("#predict")).to_be_in_viewport()
    expect(page.get_by_label("Search")).to_have_value("")
    expect(page.locator("#title-predict")).to_be_focused()
    linked = api_page(anchor="#schema-PredictRequest")
    expect(linked.locator("#schema-PredictRequest")).to_be_in_viewport()


def test_an_image_is_predicted_with_a_token_that_is_nowhere_else(
    api_page: Callable[..., Page], service: ConsoleService
) -> None:
    page = api_page()
    expect(page.get_by_label("Address of the service")).to_have_value(service.api_url)
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    predict = form(page, "predict")
    predict.get_by_label("model (in the path)").fill("fashion")
    predict.get_by_label("top_k").fill("1")
    for media, field in (
        ("application/octet-stream", "File (sent with its own type)"),
        ("multipart/form-data", "file (file)"),
    ):
        predict.get_by_label("Content type of the body").select_option(media)
        predict.get_by_label(field).set_input_files(COAT)
        predict.get_by_role("button", name="Send POST").click()
        expect(predict.get_by_role("status").last).to_contain_text("200 OK", timeout=20_000)
        expect(predict.get_by_label("The answer's body")).to_contain_text('"label": "Coat"')
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    assert service.tokens["ann"] not in page.evaluate(kept) + page.content()
    assert all(service.tokens["ann"] not in repr(call.query) + call.path for call in service.calls)
    page.reload()
    expect(page.get_by_label("Token", exact=True)).to_have_value("")
    page.goto(f"{service.api_url}/console")
    page.get_by_role("link", name="The API's page").click()
    expect(page).to_have_url(f"{service.api_url}/docs")


def test_the_command_says_the_same(api_page: Callable[..., Page], service: ConsoleService, tmp_path: Path) -> None:
    page = api_page()
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    predict = form(page, "predict")
    predict.get_by_label("model (in the path)").fill("wine")
    predict.get_by_text("As a curl command").click()
    command = predict.get_by_label("The command of predict")
    own = {"TOKEN": service.tokens["ann"], "PATH": os.environ["PATH"]}

    def same() -> None:
        predict.get_by_role("button", name="Send POST").click()
        expect(predict.get_by_role("status").last).to_contain_text("200 OK", timeout=20_000)
        shell = ["bash", "-c", command.inner_text()]
        done = subprocess.run(shell, env=own, cwd=tmp_path, capture_output=True, check=True)
        assert json.loads(done.stdout) == json.loads(predict.get_by_label("The answer's body").inner_text())

    predict.get_by_label("Body (application/json)").fill(json.dumps({"input": ROW, "id": "it's"}, indent=1))
    same()
    predict.get_by_label("Content type of the body").select_option("multipart/form-data")
    predict.get_by_label("Other fields").fill("\n".join(f"{name}={value}" for name, value in ROW.items()))
    same()
    (tmp_path / COAT.name).write_bytes(COAT.read_bytes())
    predict.get_by_label("model (in the path)").fill("fashion")
    predict.get_by_label("Other fields").fill("top_k=2")
    predict.get_by_label("file (file)").set_input_files(COAT)
    same()


def test_errors_are_words_and_whole_numbers_keep_their_digits(
    api_page: Callable[..., Page], service: ConsoleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = api_page(refused=True)
    listed = form(page, "listModels")
    listed.get_by_role("button", name="Send GET").click()
    expect(listed.locator(".answer")).to_contain_text("no valid token")
    expect(listed.locator(".answer")).to_contain_text("No token was sent")
    expect(listed.get_by_label("The answer's body")).to_contain_text('"error": "no valid token')
    listed.get_by_role("link", name="Address and token").click()
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    one = form(page, "getModel")
    one.get_by_label("model (in the path)").fill("no/such")
    one.get_by_role("button", name="Send GET").click()
    expect(one.locator("p.error")).to_contain_text("'no/such' is not a model name")
    expect(one.locator(".answer code")).to_have_text(re.compile("[0-9a-f-]{36}"))
    body = b'{"a":[%d,1.10],"b":{},"c":"{\\"x\\": [1,\\u00e9]}","d":[],"e":[{"f":1e400}]}' % BIG
    kind = {"Content-Type": "application/json"}
    monkeypatch.setattr(ConsoleService, "answer", lambda *_: (200, kind, body))
    listed.get_by_role("button", name="Send GET").click()
    shown = listed.get_by_label("The answer's body")
    expect(shown).to_contain_text(str(BIG))
    lines = shown.inner_text().splitlines()
    assert lines[1] == f'  "a": [{BIG}, 1.10],' and lines[3] == '  "c": "{\\"x\\": [1,\\u00e9]}",'
    assert "".join(shown.inner_text().split()) == "".join(body.decode().split())
    for address, words in (
        ("http://127.0.0.1:9", "may call only the service that it came from"),
        ("", "no address to call"),
    ):
        page.get_by_label("Address of the service").fill(address)
        listed.get_by_role("button", name="Send GET").click()
        expect(listed.get_by_role("alert")).to_contain_text(words)


def test_texts_come_as_they_are_written_and_can_be_stopped(
    api_page: Callable[..., Page], service: ConsoleService
) -> None:
    page = api_page()
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    chat = form(page, "createChatCompletion")
    asked = {"model": "writer", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "stream": True}
    chat.get_by_label("Body (application/json)").fill(json.dumps(asked))
    chat.get_by_role("button", name="Send POST").click()
    expect(chat.get_by_label("The answer's body, as it comes")).to_contain_text("[DONE]", timeout=20_000)
    picture = form(page, "explain")
    picture.get_by_label("model (in the path)").fill("fashion")
    picture.get_by_label("format").select_option("png")
    picture.get_by_label("Content type of the body").select_option("application/octet-stream")
    picture.get_by_label(FILE).set_input_files(COAT)
    picture.get_by_role("button", name="Send POST").click()
    expect(picture.get_by_role("img")).to_be_visible(timeout=20_000)


def test_it_is_read_and_used_as_a_file(
    api_page: Callable[..., Page], service: ConsoleService, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = api_page(built, refused=True)
    expect(page.get_by_label("Address of the service")).to_have_value("")
    page.get_by_label("Address of the service").fill(service.api_url)
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    listed = form(page, "listModels")
    listed.get_by_role("button", name="Send GET").click()
    expect(listed.get_by_role("alert")).to_contain_text("CorsOrigins")
    allowed = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Authorization,*"}
    answer = ConsoleService.answer

    def with_cors(self: ConsoleService, call: Call) -> Any:
        status, headers, body = (200, {}, b"") if call.method == "OPTIONS" else answer(self, call)
        return status, {**headers, **allowed}, body

    monkeypatch.setattr(ConsoleService, "answer", with_cors)
    monkeypatch.setattr(Handler, "do_OPTIONS", Handler.do_GET, raising=False)
    listed.get_by_role("button", name="Send GET").click()
    expect(listed.get_by_role("status").last).to_contain_text("200")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing(api_page: Callable[..., Page], service: ConsoleService, scheme: str) -> None:
    page = api_page(color_scheme=scheme)
    page.get_by_label("Token", exact=True).fill(service.tokens["ann"])
    for operation in ("predict", "listModels"):
        form(page, operation)
    page.get_by_role("form", name="Try listModels").get_by_role("button", name="Send GET").click()
    expect(page.get_by_label("The answer's body")).to_be_visible()
    for summary in page.locator("#predict summary, nav summary").all():
        summary.click()
    assert violations(page) == []


def test_it_fits_a_telephone(api_page: Callable[..., Page]) -> None:
    page = api_page(viewport={"width": 360, "height": 740})
    form(page, "predict")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_keyboard_reaches_what_a_search_leaves(api_page: Callable[..., Page]) -> None:
    page = api_page()
    page.get_by_label("Search").fill("rollbackAlias")
    form(page, "rollbackAlias")
    page.evaluate("document.getElementById('search').classList.add('brand')")
    reached = walked(page)
    assert page.evaluate(MISSED) == [] and len(reached) > 15
    for what in ("inOrder", "outlined", "inside"):
        assert [one["text"] for one in reached if not one[what]] == [], what
