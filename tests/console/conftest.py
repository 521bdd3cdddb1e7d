"""Chromium by Playwright, and the console in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

import functions.logs.app
import functions.tokens.app
from api import page as api_pages
from api.document import document
from functions.console import files
from shared import metrics
from shared.config import Config
from shared.storage.memory import MemoryStore
from tests.client.texts import streaming
from tests.console import world
from tests.functions.conftest import store
from tests.logged.memory import MemoryLogs
from tools import browser as chromium

__all__ = ["store"]  # a fixture
ROOT = Path(__file__).resolve().parents[2]
BROWSER = ROOT / ".local" / "browser"
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
# a microphone that beeps, which pages get without a question
ARGUMENTS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    yield from opened_browser()


def opened_browser() -> Iterator[Browser]:
    """As long as it is open, an event loop runs in this thread."""
    try:
        found = chromium.find(BROWSER)
    except chromium.NoChromium as error:
        # where others rely on the result, a proof that was left out is none
        if "CI" in os.environ or chromium.NAMED in os.environ:
            raise
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(found.program), env=found.environment, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def service(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[world.ConsoleService]:
    for name in ("batch", "tokens", "training"):
        app = __import__(f"functions.{name}.app", fromlist=["app"])
        monkeypatch.setattr(app, "store", lambda: store)
        monkeypatch.setattr(app, "config", lambda: Config(bucket="amaas"))
    monkeypatch.setattr(metrics, "event", lambda *line: None)
    streaming(monkeypatch)
    service = world.ConsoleService(store)
    monkeypatch.setattr(functions.logs.app, "logs", MemoryLogs)
    monkeypatch.setattr(functions.batch.app, "log", lambda: service.log)
    world.build(service)
    yield service
    service.close()


def settled(page: Page) -> Page:
    """The page, when all that it shows has been loaded."""
    page.wait_for_load_state("networkidle")
    expect(page.locator(".loading")).to_have_count(0)
    return page


def _is_problem(line: ConsoleMessage, refused: bool) -> bool:
    """Models of the tests are not signed, which the API says with a 404, and the browser notes.

    refused: calls fail in this test.
    """
    noted = line.text.startswith("Failed to load resource")
    return line.type == "error" and not (noted and (refused or line.location["url"].endswith("/signature")))


@pytest.fixture
def opened(browser: Browser, service: world.ConsoleService) -> Iterator[Opened]:
    """Opens a page of the console, signed in unless told otherwise. It fails the test if the page met an error.

    refused: calls of the API may fail.
    """
    problems: list[str] = []
    contexts = []

    def open_page(path: str = "", *, token: str | None = "ann", refused: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if _is_problem(line, refused) else None)
        page.goto(f"{service.api_url}/console#{path}")
        if token is not None:
            page.get_by_label("Token").fill(service.tokens[token])
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("navigation", name="Console").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as `python -m api.page FILE` writes it."""
    file = tmp_path_factory.mktemp("page") / "api.html"
    file.write_text(api_pages.page(document()))
    return file


@pytest.fixture
def api_page(
    browser: Browser, service: world.ConsoleService, built: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Page]]:
    """Opens the page, or the file where one is given. It fails the test if the page met an error, or went elsewhere."""
    monkeypatch.setattr(files, "API_PAGE", built)
    files.api_page.cache_clear()
    problems: list[str] = []
    contexts = []

    def open_page(file: Path | None = None, anchor: str = "", *, refused: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" and not refused else None)
        own = ("blob:", "file:", service.api_url)
        page.on("request", lambda sent: None if sent.url.startswith(own) or refused else problems.append(sent.url))
        page.goto(f"{file.as_uri() if file else service.api_url + '/docs'}{anchor}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    files.api_page.cache_clear()
    assert problems == []
