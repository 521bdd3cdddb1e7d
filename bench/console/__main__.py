"""`python -m bench.console`: what a first visit of the console takes on an embedded cloud, in Chromium."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from playwright.sync_api import Browser

from bench import page
from bench.console.deployment import browsing, deployed
from bench.machine import ROOT
from functions.console import files
from tests.cloud.conftest import Cloud

RUNS = 20
SIZES = "performance.getEntries().filter(e => e.transferSize).map(e => [e.name, e.transferSize, e.decodedBodySize])"
PAGE = """# The console: measured

{measured} Made by `python -m bench.console --write`: Chromium {chromium}, {runs} visits, each with an empty cache,
of the embedded cloud with the bundled models; medians, in brackets the longest. The functions have started before.

| of a first visit | |
|---|---|
| until the sign-in can be used | {ready} |
| from the click until the catalog is shown | {catalog} |
| both | {both} |
| bytes sent to the browser, with headers | {sent:,} in {requests} answers, of them {api:,} of the API |
| the same, unpacked | {unpacked:,} |
| a visit after that: bytes sent | {again:,} |

All files of the console: {all:,} bytes, {packed:,} compressed. A view's files are loaded when it is first wanted.
"""


def visit(browser: Browser, cloud: Cloud, context: Any = None) -> dict[str, Any]:
    """From an empty tab to the catalog. context: with a cache; else one without."""
    mine = context or browser.new_context()
    tab = mine.new_page()
    began = time.perf_counter()
    tab.goto(cloud.access["console_url"], wait_until="commit")
    tab.get_by_label("Token").wait_for()
    ready = time.perf_counter()
    tab.get_by_label("Token").fill(cloud.access["token"])
    clicked = time.perf_counter()
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_role("table", name="Models").wait_for()
    shown = time.perf_counter()
    sizes = tab.evaluate(SIZES)
    tab.close()
    if context is None:
        mine.close()
    return {
        "ready": 1000 * (ready - began),
        "catalog": 1000 * (shown - clicked),
        "both": 1000 * (ready - began + shown - clicked),
        "requests": len(sizes),
        "sent": sum(sent for _, sent, _ in sizes),
        "api": sum(sent for name, sent, _ in sizes if "/console" not in name),
        "unpacked": sum(body for _, _, body in sizes),
    }


def measure(runs: int) -> dict[str, Any]:
    with deployed() as cloud, browsing() as browser:
        visit(browser, cloud)  # functions start with the first call, which is another measurement
        visits = [visit(browser, cloud) for _ in range(runs)]
        kept = browser.new_context()
        visit(browser, cloud, kept)
        again = visit(browser, cloud, kept)["sent"]
        whole = files.load().values()
        return {
            "chromium": browser.version,
            "visits": visits,
            "again": again,
            "all": sum(len(one.body) for one in whole),
            "packed": sum(len(one.compressed) for one in whole),
        }


def text(result: dict[str, Any]) -> str:
    visits = result["visits"]

    def times(name: str) -> str:
        taken = [one[name] for one in visits]
        return f"{statistics.median(taken):,.0f} ms ({max(taken):,.0f})"

    names = ("sent", "requests", "api", "unpacked")
    sizes = {name: round(statistics.median(one[name] for one in visits)) for name in names}
    return PAGE.format(
        measured=page.measured(result["stamp"]),
        runs=len(visits),
        ready=times("ready"),
        catalog=times("catalog"),
        both=times("both"),
        **sizes,
        **{name: result[name] for name in ("chromium", "again", "all", "packed")},
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three visits; writes nothing")
    parser.add_argument("--write", action="store_true", help="write bench/results/console.md and console.json")
    options = parser.parse_args()
    result = {"stamp": page.stamp(options.quick)} | measure(3 if options.quick else RUNS)
    print(text(result))
    if options.write and not options.quick:
        page.write(ROOT / "bench" / "results", "console", result, text(result))


if __name__ == "__main__":
    main()
