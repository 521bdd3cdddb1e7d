"""pareto.svg, drawn by hand: accuracy over size, and accuracy over latency, side by side; no plotting library.

Accuracy is that of the validation split, by which the steps are compared; without a data set, it is the outputs' noise,
with less of it further up. So the upper left is better in both panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

Row = dict[str, Any]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
WIDTH, HEIGHT = 960, 440
TOP, BOTTOM = 96, 388
LEFTS, ACROSS = {"size": 76, "latency": 556}, 388  # left edge of each panel; width of both
FONT = 'font-family="Helvetica, Arial, sans-serif"'
ON, OFF, BEST = "#2f6db3", "#bbbbbb", "#d9822b"
RADIUS, LINE, LETTER, GAP = 5, 14, 6.4, 4  # of a point; of a label: height, width of a letter, room at its ends
LEAST = {"accuracy": 0.004, "noise": 0.002}  # that the upward axis spans: less is chance, and is not to look large


@dataclass(frozen=True)
class Axis:
    """From low to high; value: of a row. told: how a value is written."""

    low: float
    high: float
    value: Callable[[Row], float]
    told: Callable[[float], str]

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Four to ten round values."""
        step = _step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def svg(report: dict[str, Any]) -> str:
    """A point per step in each panel; those that no other beats in size, latency and quality at once are filled."""
    rows = report["steps"]
    measure = "accuracy" if "validation_accuracy" in rows[0] else "noise"
    up = _upwards(rows, measure)
    size = Axis(
        0, 1.12 * max(row["size"] for row in rows) / 1000, lambda row: row["size"] / 1000, lambda v: f"{v:,.6g}"
    )
    latency = Axis(0, 1.12 * max(row["latency_us"] for row in rows), lambda row: row["latency_us"], size.told)
    of = "accuracy on the validation split" if measure == "accuracy" else "noise of the outputs, less is further up"
    panels = [("size", f"{of}, over size in kB", size), ("latency", f"{of}, over latency in µs", latency)]
    parts = [part for name, title, across in panels for part in _panel(name, title, across, up, report)]
    return "\n".join([*_frame(report), *parts, "</svg>"]) + "\n"


def _upwards(rows: list[Row], measure: str) -> Axis:
    """Not from 0: the steps that were kept differ by a point or so. Noise counts downwards, so it is negative here."""
    sign, key = (1, "validation_accuracy") if measure == "accuracy" else (-1, "noise")
    found = [sign * row[key] for row in rows]
    middle, spread = (max(found) + min(found)) / 2, max(max(found) - min(found), LEAST[measure])
    top = 1 if measure == "accuracy" else 0  # none is better than that
    high = min(middle + 0.65 * spread, top + 0.15 * spread)
    digits = max(0, -math.floor(math.log10(100 * _step(1.3 * spread)) + 1e-9))
    return Axis(high - 1.3 * spread, high, lambda row: sign * row[key], lambda value: f"{abs(value):.{digits}%}")


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten: a fifth of the span or a bit less or more."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return power * next(times for times in (1, 2, 5, 10) if span / (power * times) <= 7)


def _frame(report: dict[str, Any]) -> list[str]:
    legend = TOP - 38
    within = f" within {report['max_drop']:g} points" if "validation_accuracy" in report["steps"][0] else ""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f"{FONT}>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(16, 24, f"{report['parent'].split('@')[0]}: what each step makes of it", 16, weight="bold"),
        _text(16, 42, f"{report['machine']['cpu']}, one thread, batch 1; upper left is better", 12, fill="#666"),
        *_mark(22, legend, ON), _text(32, legend + 4, "no other is better in size, latency and quality at once", 12),
        *_mark(400, legend, OFF), _text(410, legend + 4, "beaten by another", 12),
        *_mark(550, legend, "none", ring=True), _text(562, legend + 4, f"best for {report['target']}{within}", 12),
    ]  # fmt: skip


def _panel(name: str, title: str, across: Axis, up: Axis, report: dict[str, Any]) -> list[str]:
    left = LEFTS[name]
    right = left + ACROSS
    parts = [f'<g id="{name}">', _text(left, TOP - 10, title, 12, fill="#666")]
    for value in up.ticks():
        y = _y(up, value)
        parts.append(_line(left, y, right, y))
        parts.append(_text(left - 6, y + 4, up.told(value), 11, "end", "#666"))
    for value in across.ticks():
        x = left + ACROSS * across.share(value)
        parts.append(_line(x, TOP, x, BOTTOM))
        parts.append(_text(x, BOTTOM + 16, across.told(value), 11, "middle", "#666"))
    at = [(left + ACROSS * across.share(across.value(row)), _y(up, up.value(row))) for row in report["steps"]]
    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in at]
    points = sorted(zip(report["steps"], at, strict=True), key=lambda one: one[0]["pareto"])
    for row, (x, y) in points:  # the Pareto set is drawn above the others, and its labels have the first choice
        parts += _mark(x, y, ON if row["pareto"] else OFF, _told(row), ring=row["step"] == report["best"])
    for row, (x, y) in reversed(points):
        parts += _label(row["step"], x, y, taken, (left, TOP, right, BOTTOM), named=row["pareto"])
    return [*parts, "</g>"]


def _y(up: Axis, value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * up.share(value)


def _label(name: str, x: float, y: float, taken: list[Box], panel: Box, *, named: bool) -> list[str]:
    """Beside the point, or where there is room next to that, with a line to it. Notes what it takes."""
    width = LETTER * len(name)
    for shift in (0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5):
        for anchor, start in (("start", x + 10), ("end", x - 10 - width)):
            middle = y + LINE * shift
            box = (start - GAP, middle - LINE / 2, start + width + GAP, middle + LINE / 2)
            if _within(box, panel) and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                edge = start - 2 if anchor == "start" else start + width + 2
                line = [_line(x, y, edge, middle, "#999999")] if shift else []
                place = start if anchor == "start" else start + width
                style = {"fill": "#333", "weight": "bold"} if named else {"fill": "#777"}
                return [*line, _text(place, middle + 4, name, 11, anchor, **style)]
    return []  # a dozen labels in one place: the point itself says on being pointed at


def _within(box: Box, panel: Box) -> bool:
    return panel[0] <= box[0] and panel[1] <= box[1] and box[2] <= panel[2] and box[3] <= panel[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _told(row: Row) -> str:
    scores = [f"{split} accuracy {row[f'{split}_accuracy']:.2%}" for split in ("validation", "test")
              if f"{split}_accuracy" in row] or [f"noise {row['noise']:.2%}"]  # fmt: skip
    return f"{row['step']}: {row['size']:,} bytes, {row['latency_us']:,.1f} µs, {', '.join(scores)}"


def _mark(x: float, y: float, fill: str, title: str = "", *, ring: bool = False) -> list[str]:
    told = f"<title>{escape(title)}</title>" if title else ""
    around = f' stroke="{BEST}" stroke-width="3"' if ring else ""
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{fill}"{around}>{told}</circle>']


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str = "#eeeeee") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"/>'


def _text(
    x: float, y: float, text: str, size: int, anchor: str = "start", fill: str = "#333", weight: str = "normal"
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text {place} font-weight="{weight}">{escape(text)}</text>'
