"""The chart of a run: throughput of both registries as bars on a logarithmic scale, drawn as plain SVG."""

from __future__ import annotations

import math
from typing import Any

from bench.speed import CLIENTS, OPERATIONS, TITLES
from bench.svg import document, text

WIDTH, LABELS, PLOT = 860, 250, 520
BAR, GAP, HEAD, FOOT = 11, 7, 30, 26
COLOURS = {"Amaas": ("#8fb3dd", "#2f6db3"), "MLflow": ("#f2bd87", "#d9741b")}


def svg(speed: dict[str, Any]) -> str:
    """Operations per second, by operation and subject; one bar per number of clients."""
    most = max(f["rate"] for by_clients in speed.values() for figures in by_clients.values() for f in figures.values())
    decades = max(1, math.ceil(math.log10(most)))
    body, top = [], 64
    for operation, title in OPERATIONS.items():
        panel, height = _panel(title, speed[operation], decades, top)
        body += panel
        top += height
    head = [text(16, 28, "Operations per second, by registry and path to it", 17, "start", "#111", "bold"), *_legend()]
    return document(WIDTH, top, [*head, *body])


def _legend() -> list[str]:
    parts, x = [], 16
    for family, shades in COLOURS.items():
        for clients, shade in zip(CLIENTS, shades, strict=True):
            parts.append(f'<rect x="{x}" y="40" width="12" height="12" fill="{shade}"/>')
            parts.append(text(x + 17, 50, f"{family}, {clients} client{'s' if clients > 1 else ''}", 12))
            x += 130
    return [*parts, text(WIDTH - 16, 50, "logarithmic scale", 12, "end", "#666")]


def _panel(title: str, by_clients: dict[str, Any], decades: int, top: int) -> tuple[list[str], int]:
    counts = [clients for clients in CLIENTS if by_clients[str(clients)]]
    group = len(counts) * BAR + GAP
    height = HEAD + len(TITLES) * group + FOOT
    left, bottom = LABELS, top + HEAD + len(TITLES) * group
    parts = [text(16, top + 20, title, 14, "start", "#111", "bold")]
    for decade in range(decades + 1):
        x = left + PLOT * decade / decades
        parts.append(f'<line x1="{x:.1f}" y1="{top + HEAD - 4}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(text(x, bottom + 14, f"{10**decade:,}", 11, "middle", "#666"))
    for row, (name, label) in enumerate(TITLES.items()):
        y = top + HEAD + row * group
        parts.append(text(left - 8, y + len(counts) * BAR / 2 + 4, label, 12, "end"))
        for n, clients in enumerate(counts):
            rate = by_clients[str(clients)][name]["rate"]
            length = PLOT * max(math.log10(max(rate, 1)) / decades, 0.002)
            shade = COLOURS[label.split()[0]][CLIENTS.index(clients)]
            parts.append(f'<rect x="{left}" y="{y + n * BAR}" width="{length:.1f}" height="{BAR - 1}" fill="{shade}"/>')
            parts.append(text(left + length + 5, y + n * BAR + BAR - 1, f"{rate:,.0f}", 10, "start", "#333"))
    return parts, height
