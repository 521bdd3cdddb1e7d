"""The page of the quantising benchmark shows what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.quantise import page

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


@pytest.mark.parametrize("folder", sorted(path.parent for path in RESULTS.glob("*/quantise.json")))
def test_the_committed_page_is_that_of_the_committed_figures(folder: Path) -> None:
    report = json.loads((folder / "quantise.json").read_text())
    assert (folder / "quantise.md").read_text() == page.text(report)
    assert (folder / "quantise.svg").read_text() == page.svg(report)


def test_figures_of_a_kind_of_processor_lie_together() -> None:
    assert list(RESULTS.glob("*/quantise.json"))
    for path in RESULTS.glob("*/*.json"):
        about = json.loads(path.read_text()).get("machine")
        assert not isinstance(about, dict) or about.get("kind", path.parent.name) == path.parent.name


def test_a_point_for_each_row_and_the_better_one_lies_lower() -> None:
    rows = [
        {"name": "as it is", "by": "", "bytes": 100, "noise": 0.0, "us": 2.0, "cosine": 1.0},
        {"name": "good", "by": "ours", "bytes": 30, "noise": 0.01, "us": 1.0, "cosine": 0.99},
        {"name": "bad", "by": "ONNX Runtime's default", "bytes": 30, "noise": 0.5, "us": 1.0, "cosine": 0.9},
    ]
    machine = {"cpu": "a CPU", "integer_dot_products": []}
    model = {"title": "M", "about": "one sentence", "rows": rows, "missing": {"int8": "no"}, "machine": machine}
    report = {"models": {"m": model}, "versions": {"onnx": "1"}}
    drawn = ElementTree.fromstring(page.svg(report))
    circles = [one for one in drawn if one.tag.endswith("circle")][len(page.COLOURS) :]
    height = {one.get("fill"): float(one.get("cy", "")) for one in circles}
    assert len(circles) == 2 and height[page.COLOURS["ours"]] > height[page.COLOURS["ONNX Runtime's default"]]
    shown = page.text(report)
    assert "| `good` | ours | 30 | 1.0% | 0.9900 | 1 |" in shown and "`int8` made nothing: no" in shown
