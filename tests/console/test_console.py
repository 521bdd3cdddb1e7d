"""The console in Chromium: what people do in it, by pointer and by keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from shared.registry import aliases
from shared.registry.state import Target
from tests.console import world
from tests.console.conftest import AXE, ROOT, Opened
from tests.console.world import ConsoleService

PAGES = ["models", "models/fashion", "models/fashion/version/1", "models/fashion/release", "models/fashion/try"]
PAGES += ["models/fashion/traffic?since=1h", "models/fashion/cost", "models/fashion/uploads"]
PAGES += ["models/fashion/drift?since=6h"]
PAGES += ["jobs", "costs", "audit", "tokens", "models/wine/try"]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def settled(page: Page) -> Page:
    """The page, when all that it shows has been loaded."""
    page.wait_for_load_state("networkidle")
    expect(page.locator(".loading")).to_have_count(0)
    return page


def violations(page: Page) -> list[str]:
    """What axe-core finds, as rule and element."""
    # by the debugger: the page's own policy lets no script in
    page.evaluate(AXE.read_text())
    options = {"runOnly": {"type": "tag", "values": RULES}}
    report: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [f"{one['id']}: {node['html'][:160]}" for one in report["violations"] for node in one["nodes"]]


def test_signing_in_shows_whose_token_it_is(opened: Opened) -> None:
    page = settled(opened("/models"))
    page.locator("summary", has_text="ann").click()
    expect(page.locator(".account")).to_contain_text("admin")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_the_token_is_neither_stored_nor_in_the_address(opened: Opened, service: ConsoleService) -> None:
    page = settled(opened("/models"))
    assert service.tokens["ann"] not in page.url
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state])"
    assert page.evaluate(kept) == '[{},{},"",null]'
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()


def test_the_catalog_is_searched_and_paged_in_the_address(opened: Opened) -> None:
    page = settled(opened("/models"))
    assert page.locator("tbody tr").count() == 25
    page.get_by_role("button", name="Next page").click()
    expect(page).to_have_url(re.compile("next="))
    expect(page.get_by_role("link", name="wine")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="fashion")).to_be_visible()
    page.get_by_label("Search models").fill("sensor-1")
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page).to_have_url(re.compile("search=sensor-1"))


def test_a_model_says_what_it_is(opened: Opened) -> None:
    page = settled(opened("/models/fashion"))
    expect(page.get_by_role("heading", level=1)).to_have_text("fashion")
    expect(page.get_by_role("table", name="Versions", exact=True).locator("tbody tr")).to_have_count(2)
    expect(page.locator(".prose")).to_contain_text("Test accuracy")
    page.get_by_label("from version").select_option("1")
    page.get_by_label("to version").select_option("2")
    expect(page.get_by_role("table", name="Differences")).to_contain_text("test_accuracy")


def test_what_strangers_wrote_stays_text(opened: Opened) -> None:
    page = settled(opened("/models/hostile"))
    expect(page.locator(".prose")).to_contain_text("<script>window.hacked=1</script>")
    assert page.locator(".prose a, .prose img, main script").count() == 0
    assert page.evaluate("window.hacked === undefined")


def test_the_rollback_is_there_with_its_evidence(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    record = page.locator(".timeline li", has_text="Rolled back by the watcher")
    record.get_by_text("Evidence of this verdict").click()
    expect(record.get_by_role("table", name="Evidence")).to_contain_text("40 of 200")


def test_a_canary_shows_what_the_watcher_would_decide_and_on_what(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    card = page.locator("[data-alias=candidate]")
    expect(card.locator(".verdict")).to_contain_text("waits")
    expect(card.locator(".verdict")).to_contain_text("0 of 30 minutes are over")
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


def test_the_same_image_on_two_versions_with_times_and_reasons(opened: Opened) -> None:
    page = settled(opened("/models/fashion/try?version=1&beside=2"))
    page.locator("input[type=file]").set_input_files(ROOT / "examples/images/fashion-0006-coat.png")
    for version in ("1", "2"):
        answer = page.locator(f"[data-answer='{version}']")
        expect(answer.locator(".big")).to_contain_text("Coat", timeout=20_000)
        expect(answer.locator(".timing")).to_contain_text("run")
    answer.get_by_role("button", name="Why?").click()
    expect(answer.get_by_role("img", name="heat map")).to_be_visible(timeout=20_000)


def test_a_row_is_filled_and_explained(opened: Opened) -> None:
    page = settled(opened("/models/wine/try"))
    page.get_by_label("alcohol", exact=True).fill("14.1")
    page.get_by_role("button", name="Predict").click()
    answer = page.locator("[data-answer]")
    expect(answer.locator(".big")).to_contain_text("class_", timeout=20_000)


def test_an_image_is_drawn_by_keyboard(opened: Opened) -> None:
    page = settled(opened("/models/fashion/try"))
    page.get_by_role("button", name="Draw").press("Enter")
    canvas = page.get_by_role("application")
    canvas.focus()
    for key in [" ", *["ArrowDown"] * 8, " "]:
        page.keyboard.press(key)
    expect(page.locator("[data-answer] .bars li").first).to_be_visible(timeout=20_000)


def test_traffic_has_a_table_behind_each_chart(opened: Opened) -> None:
    page = settled(opened("/models/fashion/traffic?since=1h"))
    charts = page.locator("figure.chart")
    assert charts.count() == page.locator("figure.chart details table").count() == 4
    expect(page.get_by_role("table", name="By version and alias")).to_contain_text("1,800")


def test_a_token_is_made_shown_once_and_revoked(opened: Opened) -> None:
    page = settled(opened("/tokens"))
    page.get_by_role("button", name="New token").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("robot")
    dialog.get_by_label("Scopes").fill("read infer:fashion")
    dialog.get_by_role("button", name="New token").click()
    expect(page.locator(".note code")).to_contain_text("amaas_")
    row = page.locator("tr", has_text="robot")
    row.get_by_role("button", name="Revoke").click()
    page.locator("dialog[open]").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing(opened: Opened, scheme: str) -> None:
    page = settled(opened("/models", color_scheme=scheme))
    found = {}
    for path in PAGES:
        page.evaluate("path => { location.hash = '/' + path }", path)
        found[path] = violations(settled(page))
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_nothing_is_wider_than_a_small_telephone(opened: Opened) -> None:
    page = settled(opened("/models", viewport={"width": 360, "height": 740}))
    wide = []
    for path in PAGES:
        page.evaluate("path => { location.hash = '/' + path }", path)
        if settled(page).evaluate("document.documentElement.scrollWidth") > 360:
            wide.append(path)
    assert wide == []


def test_by_keyboard_alone_from_the_token_to_a_rollback(opened: Opened, service: ConsoleService) -> None:
    page = opened("/models/fashion/release", token=None)
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(service.tokens["ann"])
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_role("heading", name="History").wait_for()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "All to v2":
            break
    page.keyboard.press("Enter")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".timeline")).to_contain_text("by keyboard")
    assert service.log.read("fashion").aliases["candidate"].target.version == 2


def test_the_first_view_is_small(opened: Opened) -> None:
    page = settled(opened("/models"))
    sizes = page.evaluate("performance.getEntries().filter(e => e.transferSize).map(e => [e.name, e.transferSize])")
    assert len(sizes) > 5
    assert sum(size for _, size in sizes) < 100_000, sizes
