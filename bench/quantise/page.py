"""How the figures look: a table per model, and a chart of size and error."""

from __future__ import annotations

import math
from typing import Any

from bench.svg import document
from bench.svg import text as word

WIDTH, PANEL, LEFT, RIGHT, TOP, BOTTOM = 860, 330, 70, 190, 50, 40
COLOURS = {"ours": "#2f6db3", "ONNX Runtime's default": "#d9741b"}
LOWEST, HIGHEST = 0.001, 3.0  # noise that is drawn
LINE = 14
COMMON = ("name", "by", "bytes", "noise", "us")


def text(report: dict[str, Any]) -> str:
    """The page, in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    lines = [
        "# Quantising: our steps beside ONNX Runtime's own calls", "",
        "`python -m bench.quantise`, in the environment `training`. Noise is the error's root mean square as a share "
        "of the signal's, of what the model is asked for: embeddings, logits. All are calibrated with the same rows, "
        "and judged by others. Noise weighs the rows with the largest outputs most: see the accuracy beside it. Times: "
        "one thread, batch 1, medians of interleaved runs, on a machine that did other work.", "",
        "![size and noise](quantise.svg)", "",
    ]  # fmt: skip
    for model in report["models"].values():
        lines += [f"## {model['title']}", "", f"{model['about'][0].upper()}{model['about'][1:]}.", "", *_table(model)]
    machine = next(iter(report["models"].values()))["machine"]
    dots = ", ".join(machine["integer_dot_products"]) or "no integer dot products"
    return "\n".join([*lines, f"{machine['cpu']} ({dots}); {versions}.", ""])


def _table(model: dict[str, Any]) -> list[str]:
    more = [name for name in model["rows"][0] if name not in COMMON]
    heads = ["", "by", "bytes", "noise", *(name.replace("_", " ") for name in more), "µs"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in model["rows"]:
        figures = [f"{row[name]:.4f}" if "cosine" in name else f"{row[name]:.2%}" for name in more]
        named = f"`{row['name']}`" if row["by"] else row["name"]
        cells = [named, row["by"], f"{row['bytes']:,}", f"{row['noise']:.1%}", *figures, f"{row['us']:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", *(f"- `{name}` made nothing: {reason}" for name, reason in model["missing"].items()), ""]


def svg(report: dict[str, Any]) -> str:
    """A panel per model: bytes to the right, noise upwards on a logarithmic scale; lower left is better."""
    parts = [word(16, 24, "Size and noise of quantised models; lower left is better", 16, weight="bold")]
    for n, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f'<circle cx="{22 + 90 * n}" cy="40" r="5" fill="{colour}"/>')
        parts.append(word(32 + 90 * n, 44, name, 12))
    for n, model in enumerate(report["models"].values()):
        parts += _panel(model, TOP + n * PANEL)
    return document(WIDTH, TOP + PANEL * len(report["models"]), parts)


def _panel(model: dict[str, Any], top: int) -> list[str]:
    rows = [row for row in model["rows"] if row["by"]]
    across = 1.05 * max(row["bytes"] for row in model["rows"])
    low, high = top + PANEL - BOTTOM, top + 30
    parts = [word(16, top + 16, f"{model['title']}: {model['about']}", 13, weight="bold")]
    for noise in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3):
        y = _height(noise, low, high)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#eeeeee"/>')
        parts.append(word(LEFT - 6, y + 4, f"{noise:.1%}", 11, "end", "#666"))
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = LEFT + (WIDTH - LEFT - RIGHT) * share
        parts.append(word(x, low + 16, f"{share * across / 1e6:.1f} MB", 11, "middle", "#666"))
    lowest = 0.0
    for row in sorted(rows, key=lambda row: -row["noise"]):  # from top to bottom, so that labels can make room
        x = LEFT + (WIDTH - LEFT - RIGHT) * row["bytes"] / across
        y = _height(row["noise"], low, high)
        lowest = max(y + 4, lowest + LINE)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[row["by"]]}"/>')
        parts.append(word(x + 9, min(lowest, low - 3), f"{row['name']}, {row['noise']:.1%}", 11))
    return parts


def _height(noise: float, low: float, high: float) -> float:
    share = math.log(min(max(noise, LOWEST), HIGHEST) / LOWEST) / math.log(HIGHEST / LOWEST)
    return low - (low - high) * share
