"""Every page by the Tab key alone: all that can be used is reached, in the order it is read in, and is seen to be."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.console.conftest import Opened, settled
from tests.console.test_looks import PAGES

MOST = 400  # presses of the key
# what a person can use, and sees; numbered in the order of the document
USABLE = """() => {
  const selector = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0;
  let number = 0;
  for (const one of document.querySelectorAll(selector)) if (seen(one)) one.dataset.reached = number++;
  return number;
}"""
FOCUSED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  return {
    number: Number(one.dataset.reached ?? -1),
    body: one === document.body,
    radio: one.type === "radio" ? one.name : null,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    inside: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    text: one.outerHTML.slice(0, 120),
  };
}"""


def walked(page: Page) -> tuple[int, list[dict[str, Any]]]:
    """How many elements there are to reach, and those that were, from the beginning of the page to its end."""
    count: int = page.evaluate(USABLE)
    # from the beginning, not from where the page has put the focus; by the key, as the outline is shown for it only
    page.evaluate("document.querySelector(`[data-reached='1']`).focus()")
    reached: list[dict[str, Any]] = []
    for number in range(MOST):
        page.keyboard.press("Tab" if number else "Shift+Tab")
        one = page.evaluate(FOCUSED)
        if one["body"] or (reached and one["number"] == reached[0]["number"]):
            return count, reached
        reached.append(one)
    raise AssertionError(f"the key goes on for ever: {[one['text'] for one in reached[-5:]]}")


@pytest.mark.parametrize("width", [1280, 360])
def test_all_that_can_be_used_is_reached_in_order_and_is_seen(opened: Opened, width: int) -> None:
    page = settled(opened("/models", viewport={"width": width, "height": 800}, refused=True))
    problems: dict[str, Any] = {}
    for path in PAGES:
        page.evaluate("path => { location.hash = '/' + path }", path)
        count, reached = walked(settled(page))
        numbers = [one["number"] for one in reached]
        assert len(numbers) > 7, "the menu alone has more"
        missed = sorted(set(range(count)) - set(numbers))
        if missed:
            problems[f"{path}: not reached"] = page.evaluate(
                "numbers => numbers.map((n) => document.querySelector(`[data-reached='${n}']`).outerHTML.slice(0, 99))",
                missed,
            )
        if numbers != sorted(numbers):
            problems[f"{path}: out of order"] = numbers
        for what in ("outlined", "inside"):
            wrong = [one["text"] for one in reached if not one[what]]
            if wrong:
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
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
