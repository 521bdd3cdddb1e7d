"""Predictions, explanations and statistics."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from amaas.cli.display.tables import line, row, table
from amaas.cli.display.text import clean

Json = dict[str, Any]
BAR, SHORTEST_BAR = 30, 8  # characters
SCORE = 15  # columns beside label and bar
PARTS_SHOWN = 20


def predictions(out: Console, answer: Json) -> None:
    line(out, answer["model"], f"version {answer['version']}")
    if isinstance(answer.get("text"), str) and "finish_reason" in answer:
        out.print(Text(clean(answer["text"])), soft_wrap=True)
        return
    scored = answer.get("predictions")
    if not isinstance(scored, list) or not all(isinstance(one, dict) and "score" in one for one in scored):
        out.print_json(data={key: value for key, value in answer.items() if key not in ("model", "version")})
        return
    rows = table("label", "score", "", right=("score",), header=False)
    full = max([1.0, *(one["score"] for one in scored)])  # scores without an activation may exceed 1
    longest = max((len(clean(one.get("label") or "").split("\n")[0]) for one in scored), default=0)
    most = max(SHORTEST_BAR, min(BAR, out.width - longest - SCORE))
    for one in scored:
        row(rows, one.get("label"), f"{one['score']:.4f}", Text(bar(one["score"] / full, most), "cyan"))
    out.print(rows)


def ranking(out: Console, answer: Json) -> None:
    line(out, answer["model"], f"{len(answer['results'])} documents")
    rows = table("score", "place", "document", right=("score", "place"), header=False)
    for one in answer["results"]:
        row(rows, f"{one['relevance_score']:.4f}", str(one["index"]), one["document"]["text"])
    out.print(rows)


def bar(share: float, most: int = BAR) -> str:
    """A bar of at most `most` characters, in steps of an eighth of one. share: 0 to 1."""
    eighths = round(most * 8 * min(max(share, 0.0), 1.0))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def explanation(out: Console, explanation: Json) -> None:
    """Parts with what they add to the score, the strongest first; of an image, the place of the strongest.

    Of generated text, in the place of a class, the answer that is explained.
    """
    explained = explanation.get("label", explanation.get("answer"))
    line(out, explanation["model"], f"{explained}: {explanation['score']:g} ({explanation['method']})")
    parts = explanation["attributions"]
    if parts and isinstance(parts[0], list):
        line(out, "strongest", _strongest(parts, explanation["seen"]))
        return
    rows = table("part", "adds", right=("adds",))
    for part in sorted(parts, key=lambda part: -abs(part["attribution"]))[:PARTS_SHOWN]:
        row(rows, _part(part), f"{part['attribution']:+.4f}")
    out.print(rows)


def _strongest(grid: list[list[float]], area: list[float]) -> str:
    """The cell with the highest value, in pixels. area: left, top, right, bottom of what the model saw."""
    value, y, x = max((cell, y, x) for y, cells in enumerate(grid) for x, cell in enumerate(cells))
    left, top, right, bottom = area
    across = left + (x + 0.5) * (right - left) / len(grid[0])
    down = top + (y + 0.5) * (bottom - top) / len(grid)
    return f"{value:+.4f} around ({across:.0f}, {down:.0f}); --out PNG draws it"


def _part(part: Json) -> str:
    if part.get("text"):
        return str(part["text"])
    if "start" in part and "text" not in part:
        return f"{part['start']:g} to {part['end']:g} s"
    return f"{part.get('column')} = {part.get('value')}"
