"""A language model is tried: its answer appears while it is written, and can be stopped."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.client.gateway import Trouble
from tests.client.texts import Held, writing
from tests.console.conftest import Opened, settled
from tests.console.test_looks import violations
from tests.console.world import ConsoleService

ANSWER = "[data-answer=production]"


def asked(page: Page, tokens: str = "12") -> Page:
    """With a message that was sent by the button, which has the focus."""
    page.get_by_label("Message").fill("Hello")
    page.get_by_label("Most tokens").fill(tokens)
    page.get_by_label("Temperature").fill("0")
    page.get_by_role("button", name="Send").click()
    return page


def test_an_answer_appears_while_it_is_written(
    opened: Opened, service: ConsoleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    page = asked(settled(opened("/models/writer/try")))
    written = page.locator(f"{ANSWER} .written")
    expect(written).to_have_text(re.compile("^.{2}$"))
    expect(written).to_have_attribute("aria-busy", "true")
    assert held.made == 3 and page.locator(".timing").count() == 0, "the model waits"
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    page.keyboard.press("Enter")  # while it writes, nothing is sent
    held.go.set()
    timing = page.locator(f"{ANSWER} .timing")
    expect(timing).to_contain_text(re.compile(r"First token\s*[\d,]+ ms.*Written\s*12 tokens.*tokens/s.*cut"))
    expect(written).to_have_attribute("aria-busy", "false")
    expect(page.locator("#said")).to_have_text(re.compile(r"^production: 12 tokens in [\d,]+ ms, cut at a limit$"))
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    [sent] = service.received("POST", "/v1/chat/completions")
    assert sent.json() == {
        "model": "writer@production", "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 12, "temperature": 0, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert violations(page) == []


def test_it_can_be_stopped_and_what_there_is_stays(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    page = asked(settled(opened("/models/writer/try")), "100")
    written = page.locator(f"{ANSWER} .written")
    expect(written).to_have_text(re.compile("^.{2}$"))
    stop = page.get_by_role("button", name="Stop")
    stop.focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{ANSWER} .timing")).to_contain_text("stopped")
    expect(written).to_have_text(re.compile("^.{2}$"))
    expect(stop).to_be_focused()
    held.go.set()
    assert held.over.wait(60) and held.made < 90, "the service has seen it"
    page.get_by_label("Message").press("Control+Enter")
    expect(page.locator(f"{ANSWER} .timing")).to_contain_text(re.compile("Written"))


def test_two_versions_side_by_side(opened: Opened, service: ConsoleService) -> None:
    writing(service.log)
    page = asked(settled(opened("/models/writer/try?version=1&beside=2")))
    for version in ("1", "2"):
        expect(page.locator(f"[data-answer='{version}'] .timing")).to_contain_text("12 tokens")


def test_a_model_without_chats_goes_on_with_a_text(opened: Opened, service: ConsoleService) -> None:
    writing(service.log, "teller", template=False)
    page = settled(opened("/models/teller/try"))
    page.get_by_label("Text to go on with").fill("Once")
    page.get_by_label("Most tokens").fill("5")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(f"{ANSWER} .timing")).to_contain_text("5 tokens")
    assert service.received("POST", "/v1/completions")[-1].json()["prompt"] == "Once"


def test_errors_are_said(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/models/writer/try", refused=True))
    service.trouble.append(Trouble("POST", "/chat/", 429, b'{"error": {"message": "too many calls: wait"}}'))
    expect(asked(page).get_by_role("alert")).to_have_text("Too many calls: wait.")
    service.trouble.append(Trouble("POST", "/chat/", 0, after=True))
    expect(asked(page).get_by_role("alert")).to_have_text("The answer broke off: try again.")
    # whole, as a browser may lose what came right before a cut
    events = ({"choices": [{"delta": {"content": "Well"}}]}, {"error": {"message": "the model's process has died"}})
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    service.trouble.append(Trouble("POST", "/chat/", 200, body.encode(), {"Content-Type": "text/event-stream"}))
    expect(asked(page).get_by_role("alert")).to_have_text("The model's process has died.")
    expect(page.locator(f"{ANSWER} .written")).to_have_text("Well")


def test_it_fits_a_small_telephone(opened: Opened) -> None:
    page = asked(settled(opened("/models/writer/try", viewport={"width": 360, "height": 740})), "100")
    expect(page.locator(f"{ANSWER} .timing")).to_contain_text("Written")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
