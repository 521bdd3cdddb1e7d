"""The committed charts and pages are those of the committed figures."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.quantize import page
from tests.servers import ROOT

RESULTS = ROOT / "bench" / "results"
CHARTS = sorted(path.relative_to(RESULTS) for path in RESULTS.rglob("*.svg"))


def texts(svg: Path) -> Counter[str]:
    """What is written in a chart: titles, names, and the figures beside the bars."""
    return Counter(e.text or "" for e in ElementTree.parse(svg).iter() if e.tag.endswith("}text"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The charts, drawn anew."""
    folder = tmp_path_factory.mktemp("charts")
    python = ROOT / ".local" / "envs" / "bench" / "bin" / "python"
    subprocess.run([python, "-m", "bench.charts", "--out", folder], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("chart", CHARTS, ids=str)
def test_a_chart_says_what_its_figures_say(chart: Path, drawn: Path) -> None:
    written = texts(RESULTS / chart)
    assert len(written) > 5
    assert written == texts(drawn / chart)


def test_every_page_has_its_chart() -> None:
    shown = {path.parent / name for path in RESULTS.rglob("*.md") for name in _pictures(path)}
    assert shown == {RESULTS / chart for chart in CHARTS}


def _pictures(page_: Path) -> list[str]:
    return [part.partition(")")[0] for part in page_.read_text().split("](")[1:] if ".svg)" in part[:40]]


@pytest.mark.parametrize("folder", sorted(path.parent for path in RESULTS.glob("*/quantize.json")), ids=str)
def test_the_committed_page_is_that_of_the_committed_figures(folder: Path) -> None:
    assert (folder / "quantize.md").read_text() == page.markdown(json.loads((folder / "quantize.json").read_text()))


def test_every_page_says_of_when_it_is() -> None:
    for path in RESULTS.rglob("*.md"):
        head = path.read_text()[:600]
        assert "commit" in head and "2026-" in head, f"{path} names no date or no commit"


def test_figures_of_a_kind_of_processor_lie_together() -> None:
    for path in RESULTS.glob("*/*.json"):
        about = json.loads(path.read_text()).get("machine")
        assert not isinstance(about, dict) or about.get("kind", path.parent.name) == path.parent.name
