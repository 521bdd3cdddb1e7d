"""Every page by axe-core, on a small telephone, and how many bytes the first one takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import AXE, Opened, settled
from tests.console.world import BATCH, TRAINING

PAGES = ["models", "models/fashion", "models/fashion/version/1", "models/fashion/release", "models/fashion/try"]
PAGES += ["models/fashion/traffic?since=1h", "models/fashion/cost", "models/fashion/uploads"]
# not behind another model's same tab: settled() would not see that it is still to come
PAGES += ["models/fashion/drift?since=6h", "models/writer/try"]
PAGES += ["jobs", f"jobs/batch/{BATCH}", f"jobs/training/{TRAINING}", "costs", "audit", "tokens", "models/wine/try"]
NONE = "019f1000000-0000000000000000"
MISSING = ["nowhere", "models/none", "models/fashion/version/99", "models/none/release", "models/none/try"]
MISSING += ["models/none/traffic", "models/none/drift", f"jobs/batch/{NONE}", f"jobs/training/{NONE}"]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """What axe-core finds, as rule and element."""
    # by the debugger: the page's own policy lets no script in
    page.evaluate(AXE.read_text())
    options = {"runOnly": {"type": "tag", "values": RULES}}
    report: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [f"{one['id']}: {node['html'][:160]}" for one in report["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing(opened: Opened, scheme: str) -> None:
    page = settled(opened("/models", color_scheme=scheme, refused=True))
    found = {}
    for path in PAGES + MISSING:
        page.evaluate("path => { location.hash = '/' + path }", path)
        found[path] = violations(settled(page))
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_nothing_is_wider_than_a_small_telephone(opened: Opened) -> None:
    page = settled(opened("/models", viewport={"width": 360, "height": 740}, refused=True))
    wide = []
    for path in PAGES + MISSING:
        page.evaluate("path => { location.hash = '/' + path }", path)
        if settled(page).evaluate("document.documentElement.scrollWidth") > 360:
            wide.append(path)
    assert wide == []


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_said_and_has_a_way_on(opened: Opened, path: str) -> None:
    """A link that somebody kept, to what was deleted since."""
    page = settled(opened(f"/{path}", refused=True))
    expect(page.get_by_role("main")).to_contain_text(re.compile("there is no|has no version", re.I))
    assert page.get_by_role("main").locator("a, button").count(), "nothing leads on"


def test_the_first_view_is_small(opened: Opened) -> None:
    page = settled(opened("/models"))
    sizes = page.evaluate("performance.getEntries().filter(e => e.transferSize).map(e => [e.name, e.transferSize])")
    assert len(sizes) > 5
    assert sum(size for _, size in sizes) < 100_000, sizes
