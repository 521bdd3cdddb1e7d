"""`make pictures`: the README's pictures, taken in Chromium from an embedded cloud of its own."""

from __future__ import annotations

import io

from PIL import Image
from playwright.sync_api import Page

from bench.console.deployment import MODEL, browsing, deployed, live_a_little, sign_in, start
from bench.machine import ROOT

FOLDER = ROOT / "docs" / "pictures"
VIEW = {"width": 1120, "height": 760}
COLORS = 128
MOST = 150_000  # bytes
WAIT = 60_000  # ms


def main() -> None:
    with deployed() as cloud, browsing() as browser:
        live_a_little(cloud)
        start(cloud)
        context = browser.new_context(viewport=VIEW, reduced_motion="reduce", color_scheme="light")
        page = context.new_page()
        page.set_default_timeout(WAIT)
        sign_in(page, cloud, "/models")
        for name, show in PICTURES.items():
            show(page)
            page.wait_for_load_state("networkidle")
            page.mouse.move(0, 0)
            save(name, page.screenshot())


def save(name: str, png: bytes) -> None:
    """With few colors, which a page of few colors does not show, and a third of the bytes."""
    written = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    picture.save(written, "PNG", optimize=True)
    body = written.getvalue()
    if len(body) > MOST:
        raise SystemExit(f"{name}.png would have {len(body):,} bytes: {MOST:,} at most")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.png").write_bytes(body)
    print(f"docs/pictures/{name}.png {len(body):,} bytes")


def go(page: Page, path: str) -> None:
    page.evaluate("path => { location.hash = path }", path)


def release(page: Page) -> None:
    go(page, f"/models/{MODEL}/release")
    page.get_by_role("table", name="Evidence on v2").wait_for()


def trying(page: Page) -> None:
    go(page, f"/models/{MODEL}/try?version=1&beside=2")
    page.locator("input[type=file]").set_input_files(ROOT / "examples/images/fashion-0004-shirt.png")
    for version in (1, 2):
        answer = page.locator(f"[data-answer='{version}']")
        answer.get_by_role("button", name="Why?").click()
        answer.get_by_role("img", name="heat map").wait_for()


def traffic(page: Page) -> None:
    go(page, f"/models/{MODEL}/traffic?since=1h")
    page.get_by_role("table", name="By version and alias").wait_for()


def drift(page: Page) -> None:
    go(page, f"/models/{MODEL}/drift?since=6h")
    page.get_by_role("table", name="brightness of v1").wait_for()
    page.evaluate("document.querySelector(\"[data-drift='1']\").scrollIntoView()")


PICTURES = {"release": release, "try": trying, "traffic": traffic, "drift": drift}

if __name__ == "__main__":
    main()
