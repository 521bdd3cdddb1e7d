"""Every page by the Tab key alone: all that can be used is reached, in the order it is read in, and is seen to be."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Opened, settled
from tests.console.test_looks import PAGES
from tests.console.world import BATCH

MOST = 400  # presses of the key
# what a person can use, and sees
USABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0)"""
MISSED = f"({USABLE})().filter((one) => !one.dataset.reached).map((one) => one.outerHTML.slice(0, 120))"
# a page that is asked anew meanwhile makes some of its parts anew: what is no more there is before nothing
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === document.body || one.dataset.reached) return null;
  const before = window.reachedBefore;
  one.dataset.reached = "yes";
  window.reachedBefore = one;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const ring = Math.max(0, parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset));
  const cut = (around) => {
    const edge = around.getBoundingClientRect();
    const clips = (overflow) => overflow !== "visible";
    const { overflowX, overflowY } = getComputedStyle(around);
    return (clips(overflowY) && (box.top - ring < edge.top - 1 || box.bottom + ring > edge.bottom + 1))
      || (clips(overflowX) && (box.left - ring < edge.left - 1 || box.right + ring > edge.right + 1));
  };
  let around = one.parentElement;
  while (around && around !== document.body && !cut(around)) around = around.parentElement;
  return {
    inOrder: !before?.isConnected || Boolean(before.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    whole: !around || around === document.body || Boolean(one.closest(".scroll")),
    inside: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    text: one.outerHTML.slice(0, 120),
  };
}"""


def walked(page: Page) -> list[dict[str, Any]]:
    """What is reached by the key, from the beginning of the page to its end."""
    # from the beginning, not from where the page has put the focus; by the key, as the outline is shown for it only
    page.evaluate("""() => {
      for (const one of document.querySelectorAll("[data-reached]")) delete one.dataset.reached;
      window.reachedBefore = null;
      document.querySelector(".brand").focus();
    }""")
    reached: list[dict[str, Any]] = []
    for number in range(MOST):
        page.keyboard.press("Tab" if number else "Shift+Tab")
        one = page.evaluate(FOCUSED)
        if one is None:
            return reached
        reached.append(one)
    raise AssertionError(f"the key goes on for ever: {[one['text'] for one in reached[-5:]]}")


@pytest.mark.parametrize("width", [1280, 360])
def test_all_that_can_be_used_is_reached_in_order_and_is_seen(opened: Opened, width: int) -> None:
    page = settled(opened("/models", viewport={"width": width, "height": 800}, refused=True))
    problems: dict[str, Any] = {}
    for path in PAGES:
        page.evaluate("path => { location.hash = '/' + path }", path)
        reached = walked(settled(page))
        assert len(reached) > 7, "the menu alone has more"
        if missed := page.evaluate(MISSED):
            problems[f"{path}: not reached"] = missed
        for what in ("inOrder", "outlined", "whole", "inside"):
            if wrong := [one["text"] for one in reached if not one[what]]:
                problems[f"{path}: not {what}"] = wrong
    assert problems == {}


def test_a_dialog_keeps_the_focus_and_gives_it_back(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    button = page.get_by_role("button", name="New alias")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
        assert inside, "the page behind a dialog is not to be used"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "New alias"


def test_the_first_key_leads_past_the_menu(opened: Opened) -> None:
    page = settled(opened("/models/fashion"))
    page.get_by_role("link", name="Amaas").focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert focused(page) == "fashion"


def focused(page: Page) -> str:
    """The text of what has the focus; the whole page's, where nothing has it."""
    return str(page.evaluate("document.activeElement.textContent"))


@pytest.mark.parametrize(
    ("start", "link", "heading"),
    [
        ("/models?search=wine", "wine", "wine"),
        ("/models/fashion", "v2", "fashion"),
        ("/models/fashion/version/1", "Try this version", "fashion"),
        ("/models/fashion", "images", "Models"),
        ("/jobs", BATCH, "Batch for wine"),
        ("/costs", "fashion", "fashion"),
        ("/costs", "Amaas", "Models"),
    ],
)
def test_a_link_that_was_followed_leads_to_the_heading(opened: Opened, start: str, link: str, heading: str) -> None:
    page = settled(opened(start))
    before = page.title()
    page.get_by_role("link", name=link, exact=True).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page).not_to_have_title(before)
    if link != "Amaas":
        page.go_back()
        expect(page).to_have_title(before)
        settled(page)
        assert page.evaluate("document.activeElement !== document.body")


def test_who_signs_in_is_at_the_heading_and_a_wrong_token_is_said_once(opened: Opened) -> None:
    page = opened("/models", token=None, refused=True)
    page.keyboard.type("amaas_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No valid token")
    assert page.get_by_role("status").count() == 0
    expect(page.get_by_label("Token")).to_be_focused()
    assert page.get_by_label("Token").get_attribute("aria-invalid") == "true"


def test_what_is_gone_after_its_use_leaves_the_focus_near(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    page.get_by_role("button", name="All to v1 of candidate").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="All to v1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="All to v1 of candidate")).to_have_count(0)
    settled(page)
    expect(page.locator("#said")).to_contain_text("Give candidate to version 1 alone: done.")
    assert page.evaluate("document.activeElement.matches('h1, h2, h3')")
    page.evaluate("location.hash = '/models'")
    settled(page)
    page.get_by_role("button", name="Next page").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="First page")).to_be_visible()
    settled(page)
    assert page.evaluate("document.activeElement !== document.body")


def test_what_cannot_be_undone_is_not_done_by_two_presses(opened: Opened) -> None:
    page = settled(opened("/tokens"))
    page.get_by_role("button", name="Revoke ann").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    expect(page.get_by_role("dialog")).to_contain_text("You are signed out at once")
    page.get_by_role("dialog").get_by_label("Reason").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Revoke ann")).to_be_focused()


def test_no_dialog_has_two_buttons_of_one_name(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    for path in ("models/fashion/release", "jobs", "tokens"):
        page.evaluate("path => { location.hash = '/' + path }", path)
        settled(page)
        dialogs = page.evaluate(
            "[...document.querySelectorAll('dialog')].map("
            "(dialog) => [...dialog.querySelectorAll('button')].map((button) => button.textContent))"
        )
        assert dialogs and all(len(set(names)) == len(names) for names in dialogs), dialogs


def test_the_account_menu_closes_when_the_focus_leaves_it(opened: Opened) -> None:
    page = settled(opened("/models"))
    menu = page.locator("details.account")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(menu).not_to_have_attribute("open", "")


def test_a_dialog_forgets_what_was_given_up(opened: Opened) -> None:
    page = settled(opened("/models/fashion/release"))
    page.get_by_role("button", name="Move of production").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Share in percent, as a number").fill("35")
    dialog.get_by_label("Reason").fill("a try")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Move of production").click()
    expect(dialog.get_by_label("Share in percent, as a number")).to_have_value("10")
    expect(dialog.get_by_label("Reason")).to_have_value("")
