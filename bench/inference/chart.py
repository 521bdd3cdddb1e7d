"""The chart of a run: what a call takes in each server, latency and CPU, on a logarithmic scale, as plain SVG."""

from __future__ import annotations

import math
from typing import Any

from bench.inference.beside import TITLES
from bench.svg import document, text

WIDTH, LABELS, PLOT = 860, 190, 600
BAR, GAP, HEAD, FOOT = 11, 7, 30, 26
# CPU seconds per 1,000 calls are milliseconds per call
BARS = {"p50_ms": "median", "cpu_s_per_1000": "CPU time"}
COLOURS = {"Amaas": ("#8fb3dd", "#2f6db3"), "floor": ("#bbbbbb", "#777777"), "peers": ("#f2bd87", "#d9741b")}
PANELS = {
    ("tiny", "json"): "4 floats, JSON",
    ("tiny", "binary"): "4 floats, binary",
    ("mobilenet", "json"): "MobileNetV3-small, JSON of 150,528 floats",
    ("mobilenet", "binary"): "MobileNetV3-small, binary",
}
SHOWN = [name for name in TITLES if name != "gateway"]


def svg(figures: dict[str, Any]) -> str:
    """figures: by model, form, number of clients and server; drawn are those of one client, in ms per call."""
    body, top = [], 64
    for (model, form), title in PANELS.items():
        panel, height = _panel(title, figures[model][form]["1"], top)
        body += panel
        top += height
    head = [text(16, 28, "Milliseconds per call, one client: less is better", 17, "start", "#111", "bold"), *_legend()]
    return document(WIDTH, top, [*head, *body])


def _legend() -> list[str]:
    parts, x = [], 16
    for family, shades in COLOURS.items():
        for what, shade in zip(BARS.values(), shades, strict=True):
            parts.append(f'<rect x="{x}" y="40" width="12" height="12" fill="{shade}"/>')
            parts.append(text(x + 17, 50, f"{family}, {what}", 12))
            x += 125
    return [*parts, text(WIDTH - 16, 50, "log. scale", 12, "end", "#666")]


def _panel(title: str, by_name: dict[str, Any], top: int) -> tuple[list[str], int]:
    shown = {name: found if (found := by_name.get(name, {})).get("answers") else {} for name in SHOWN}
    values = [max(found[bar], 1e-3) for found in shown.values() if found for bar in BARS]
    low, high = _decades(values)
    group = len(BARS) * BAR + GAP
    height = HEAD + len(shown) * group + FOOT
    left, bottom = LABELS, top + HEAD + len(shown) * group
    parts = [text(16, top + 20, title, 14, "start", "#111", "bold")]
    for decade in range(low, high + 1):
        x = left + PLOT * (decade - low) / (high - low)
        parts.append(f'<line x1="{x:.1f}" y1="{top + HEAD - 4}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(text(x, bottom + 14, f"{10.0**decade:g} ms", 11, "middle", "#666"))
    for row, (name, found) in enumerate(shown.items()):
        y = top + HEAD + row * group
        parts.append(text(left - 8, y + len(BARS) * BAR / 2 + 4, TITLES[name], 12, "end"))
        if not found:
            parts.append(text(left + 5, y + BAR + 4, "none", 10, "start", "#666"))
        for n, bar in enumerate(BARS if found else ()):
            length = PLOT * max((math.log10(max(found[bar], 1e-3)) - low) / (high - low), 0.002)
            shade = COLOURS[_family(name)][n]
            parts.append(f'<rect x="{left}" y="{y + n * BAR}" width="{length:.1f}" height="{BAR - 1}" fill="{shade}"/>')
            parts.append(text(left + length + 5, y + n * BAR + BAR - 1, f"{found[bar]:.3g}", 10, "start", "#333"))
    return parts, height


def _decades(values: list[float]) -> tuple[int, int]:
    low = math.floor(math.log10(min(values, default=0.1)))
    return low, max(low + 1, math.ceil(math.log10(max(values, default=1.0))))


def _family(name: str) -> str:
    return {"ours": "Amaas", "function": "Amaas", "floor": "floor"}.get(name, "peers")
