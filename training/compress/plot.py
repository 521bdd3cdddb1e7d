"""pareto.svg, drawn by hand: latency to the right, size upwards, accuracy beside each point; no plotting library."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420
LEFT, TOP, RIGHT, BOTTOM = 90, 60, 150, 50  # margins; the right one has room for labels
FONT = 'font-family="Helvetica, Arial, sans-serif"'
LINE = 15  # between labels
ON, OFF = "#2f6db3", "#bbbbbb"


def svg(report: dict[str, Any]) -> str:
    """A point per step; those that no other beats in size, latency and quality at once are filled."""
    rows = report["steps"]
    across = 1.1 * max(row["latency_us"] for row in rows)
    up = 1.1 * max(row["size"] for row in rows)
    parts = [*_frame(report), *_axes(across, up)]
    lowest = 0.0
    for row in sorted(rows, key=lambda row: -row["size"]):  # from top to bottom, so that labels can make room
        x, y = _place(row["latency_us"], row["size"], across, up)
        lowest = max(y + 4, lowest + LINE)
        parts += _point(row, report["best"], x, y, lowest)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _frame(report: dict[str, Any]) -> list[str]:
    where = f"{report['machine']['cpu']}, one thread, batch 1; lower left is better"
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f"{FONT}>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(16, 24, f"{report['parent'].split('@')[0]}: size and latency by step", 16, weight="bold"),
        _text(16, 44, where, 12, fill="#666"),
    ]


def _axes(across: float, up: float) -> list[str]:
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = _place(share * across, share * up, across, up)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#eeeeee"/>')
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{share * up / 1000:,.0f} kB", 11, "end", "#666"))
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{share * across:,.0f} µs", 11, "middle", "#666"))
    return parts


def _point(row: dict[str, Any], best: str, x: float, y: float, label_y: float) -> list[str]:
    quality = f"{row['test_accuracy']:.2%}" if "test_accuracy" in row else f"noise {row['noise']:.1%}"
    label = f"{row['step']}, {quality}{' (best)' if row['step'] == best else ''}"
    colour = ON if row["pareto"] else OFF
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>',
        _text(x + 10, label_y, label, 12, weight="bold" if row["step"] == best else "normal"),
    ]


def _place(latency: float, size: float, across: float, up: float) -> tuple[float, float]:
    return LEFT + (WIDTH - LEFT - RIGHT) * latency / across, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * size / up


def _text(
    x: float, y: float, text: str, size: int, anchor: str = "start", fill: str = "#333", weight: str = "normal"
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text {place} font-weight="{weight}">{escape(text)}</text>'
