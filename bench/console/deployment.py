"""A deployment for the console to show: the bundled models, a canary, and an hour of counts.

The models are checked, published and called as anybody's are. The counts of the hour before cannot be: they are written
into the bucket as functions write theirs, so that charts have something to show at once, and the same each time.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.machine import ROOT
from shared import keys
from shared.counts import forms
from shared.counts.bins import of_ns
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.package import manifest
from shared.storage.s3 import S3Store
from tests.cloud.conftest import Cloud
from tests.console.conftest import ARGUMENTS, BROWSER
from tools import browser as chromium

MODEL = "fashion-mnist"
PACKAGE = ROOT / "layers" / "models" / MODEL
MINUTES = 57
CANARY = 10  # percent
IMAGES_BRIGHTER = 3  # bins of the reference: what drift is shown on


@contextmanager
def deployed() -> Iterator[Cloud]:
    """A running cloud with the bundled models, and nothing else."""
    with tempfile.TemporaryDirectory() as home:
        cloud = Cloud(Path(home))
        try:
            cloud.up()
            yield cloud
        finally:
            cloud.down()
            cloud.api.close()


@contextmanager
def browsing() -> Iterator[Browser]:
    found = chromium.find(BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(found.program), env=found.environment, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, cloud: Cloud, path: str = "") -> None:
    page.goto(f"{cloud.access['console_url']}#{path}")
    page.get_by_label("Token").fill(cloud.access["token"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Console").wait_for()


def live_a_little(cloud: Cloud) -> None:
    """A second version, as a watched canary of production, and an hour of counts of both."""
    files = {path.name: path.read_bytes() for path in PACKAGE.iterdir() if path.suffix != ".md"}
    state = cloud.upload(MODEL, files)
    assert state["state"] == "registered", state
    alias = f"/models/{MODEL}/aliases/production"
    for path, body in ((f"{alias}/policy", {"release": {}}), (alias, {"split": {"1": 100 - CANARY, "2": CANARY}})):
        answer = cloud.api.put(path, json=body | {"reason": "smaller weights"})
        assert answer.is_success, answer.text
    since = cloud.api.get(f"/models/{MODEL}").json()["aliases"]["production"]["since"]
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")):
        os.environ[name] = value
    store = S3Store(cloud.access["bucket"], cloud.access["endpoint_url"])
    first = int(time.time() // 60) - MINUTES
    for number in range(MINUTES):
        rows = [
            Row(model=MODEL, version=version, alias="production", since=since, at=first + number, counts=counts)
            for version, counts in ((1, minute(number, 72, 1)), (2, minute(number, 8, 2)))
        ]
        store.put(keys.stats_raw(hour_of(first + number), 0, "c" * 16, number), forms.pack(forms.Raw(rows=rows)))


def start(cloud: Cloud) -> None:
    """Two processes that answer, with both versions loaded: what is shown is not how long they take to start."""
    image = (ROOT / "examples" / "images" / "fashion-0004-shirt.png").read_bytes()

    def call(version: int) -> None:
        path, headers = f"/models/{MODEL}/versions/{version}/predict", {"Content-Type": "image/png"}
        assert cloud.api.post(path, content=image, headers=headers).is_success

    with ThreadPoolExecutor(2) as together:
        for _ in range(4):
            list(together.map(call, (1, 2)))


def minute(number: int, calls: int, version: int) -> Counts:
    """Of a wave of calls: a few answers that are slow, and images that are brighter than the reference's."""
    requests = round(calls * (1 + 0.35 * math.sin(number / 8)))
    middle = 4.1e6 * (1 + 0.08 * math.sin(number / 5 + version))  # ns
    slow = requests // 12
    total = {of_ns(round(middle)): requests - slow, of_ns(round(2.6 * middle)): slow}
    described = declared()["scores"]
    labels = spread(list(described["labels"].values()), requests, number)
    return Counts(
        requests=requests,
        server_errors=int(number % 29 == 28 and version == 1),
        latency={"total": total, "run": {of_ns(round(middle / 9)): requests}},
        billed_ms=requests * 6,
        cold=int(number % 23 == 0),
        items=requests,
        features=features(requests, number),
        scores=dict(enumerate(spread(described["top"]["counts"], requests, number))),
        labels={name: labels[place] for place, name in enumerate(described["labels"]) if labels[place]},
    )


def features(items: int, number: int) -> dict[str, dict[int, int]]:
    counted = {}
    for name, one in declared()["features"].items():
        moved = IMAGES_BRIGHTER if name == "brightness" else 0
        bins = dict[int, int]()
        for place, share in enumerate(spread(one["counts"], items, number), start=1):
            last = min(place + moved, len(one["counts"]))
            bins[last] = bins.get(last, 0) + share
        counted[name] = bins
    return counted


def declared() -> dict[str, Any]:
    reference = manifest.decode((PACKAGE / "amaas.json").read_bytes()).reference
    assert reference is not None
    return reference


def spread(weights: list[int], items: int, number: int) -> list[int]:
    """Items in bins by their weights, as whole numbers that add up; number: turns what rounding leaves."""
    whole, given, passed = sum(weights), 0, (number % 10) / 10
    shares = []
    for weight in weights:
        passed += items * weight / whole
        shares.append(max(0, min(int(passed), items) - given))
        given += shares[-1]
    shares[weights.index(max(weights))] += items - given
    return shares
