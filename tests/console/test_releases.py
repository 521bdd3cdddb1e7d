"""Releases, and what they rest on: a canary live, moves by pointer and keyboard, drift and accuracy."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from shared.registry import aliases
from shared.registry.state import Target
from tests.console import world
from tests.console.conftest import Opened, settled
from tests.console.world import ConsoleService


def test_the_rollback_is_there_with_its_evidence(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    record = page.locator(".timeline li", has_text="Rolled back by the watcher")
    record.get_by_text("Evidence of this verdict").click()
    expect(record.get_by_role("table", name="Evidence")).to_contain_text("40 of 200")


def test_a_canary_shows_what_the_watcher_would_decide_and_on_what(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    card = page.locator("[data-alias=candidate]")
    expect(card.locator(".verdict")).to_contain_text("waits")
    expect(card.locator(".verdict")).to_contain_text(re.compile(r"\d+ of 30 minutes are over"))
    expect(card.get_by_role("table", name="Evidence on v2")).to_contain_text("0 of 100")
    expect(card.locator(".meters")).to_contain_text("100 of 200")


def test_a_verdict_is_shown_when_it_changes_and_a_move_of_others_is_followed(
    opened: Opened, service: ConsoleService
) -> None:
    page = settled(opened("/models/fashion/release"))
    card = page.locator("[data-alias=candidate]")
    began = service.log.read("fashion").aliases["candidate"].since
    for ago in range(3, 23):
        world.count(service.store, 300 + ago, ("fashion", 2, "candidate", began), ago, requests=5, server_errors=5)
    expect(card.locator(".verdict")).to_contain_text("rolls back", timeout=20_000)
    aliases.move(service.log, "fashion", "candidate", Target.of({1: 1}, None), world.ANN)
    expect(card.locator(".verdict")).to_have_count(0, timeout=20_000)
    expect(card.get_by_role("button", name="All to v2")).to_have_count(0)


def test_canaries_of_an_alias_are_watched_from_now_on(opened: Opened, service: ConsoleService) -> None:
    aliases.move(service.log, "fashion", "trial", Target.of({1: 50, 2: 50}, None), world.ANN)
    page = settled(opened("/models/fashion/release"))
    card = page.locator("[data-alias=trial]")
    expect(card).to_contain_text("Not watched")
    card.get_by_role("button", name="Watch canaries").click()
    page.locator("dialog[open]").get_by_role("button", name="Watch canaries").click()
    expect(card.locator(".verdict")).to_contain_text("No calls of version 2", timeout=20_000)
    assert service.log.read("fashion").policy("trial").release is not None


def test_drift_names_the_column_and_why_accuracy_is_doubtful(opened: Opened) -> None:
    page = settled(opened("/models/fashion/drift?since=6h"))
    drifted = page.locator("[data-drift='2']")
    expect(drifted).to_contain_text("major drift")
    expect(drifted.get_by_role("table", name="Columns of v2").locator("tbody tr").first).to_contain_text("brightness")
    expect(drifted.get_by_role("table", name="brightness of v2: reference and calls")).to_be_visible()
    expect(page.locator("[data-drift='1']")).to_contain_text("no drift")
    expect(page.locator("[data-accuracy='1']")).to_contain_text("on the test split")
    expect(page.locator("[data-accuracy='2']")).to_contain_text("doubtful")
    expect(page.locator("[data-accuracy='2']")).to_contain_text("brightness")
    measured = page.get_by_role("table", name="Accuracy measured by labels").locator("tbody tr")
    expect(measured).to_have_count(1)
    expect(measured).to_contain_text("75.0 %")
    expect(measured).to_contain_text("Coat for Shirt 1")


def test_an_alias_is_split_and_given_to_one_version_with_a_reason(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/models/fashion/release"))
    card = page.locator("[data-alias=production]")
    card.get_by_role("button", name="Move").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Version").select_option("2")
    dialog.get_by_label("Share of the calls").fill("20")
    dialog.get_by_label("Reason").fill("better on coats")
    dialog.get_by_role("button", name="Move").click()
    expect(card).to_contain_text("20 %")
    assert service.log.read("fashion").aliases["production"].target.split == {1: 80, 2: 20}
    card.get_by_role("button", name="All to v2").click()
    page.locator("dialog[open]").get_by_role("button", name="All to v2").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator(".timeline")).to_contain_text("better on coats")
    assert service.log.read("fashion").aliases["production"].target.version == 2


def test_by_keyboard_alone_from_the_token_to_a_rollback(opened: Opened, service: ConsoleService) -> None:
    aliases.move(service.log, "fashion", "candidate", Target.of({2: 1}, None), world.ANN)
    page = opened("/models/fashion/release", token=None)
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(service.tokens["ann"])
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_role("heading", name="History").wait_for()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Roll back":
            break
    page.keyboard.press("Enter")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".timeline")).to_contain_text("by keyboard")
    assert service.log.read("fashion").aliases["candidate"].target.split == {1: 75, 2: 25}
