"""pareto.svg: accuracy over size, and accuracy over latency, side by side; the upper left is better in both.

Accuracy is that of the validation split, by which the steps are compared; without a data set, it is the outputs' noise,
with less of it further up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

Row = dict[str, Any]
PARETO, DOMINATED, BEST = "#2f6db3", "#bbbbbb", "#d9822b"
SPAN = {"accuracy": 0.004, "noise": 0.002}  # least height of the vertical axis: less is chance
STYLE: Any = {
    "svg.fonttype": "none",  # texts stay texts
    "svg.hashsalt": "amaas",  # the same bytes from the same numbers
    "font.size": 9,
}


def plot(report: Row, path: Path) -> None:
    """A point per step in each panel; those that no other beats in size, latency and quality at once are filled.

    report: as pareto.json. Each point has the id PANEL-STEP in the SVG, as size-int8.
    """
    rows = report["steps"]
    quality = "accuracy" if "validation_accuracy" in rows[0] else "noise"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.8), layout="constrained")
        FigureCanvasSVG(figure)
        left, right = figure.subplots(1, 2, sharey=True)
        _panel(left, report, "size", [row["size"] / 1000 for row in rows], quality)
        _panel(right, report, "latency", [row["latency_us"] for row in rows], quality)
        left.set_xlabel("size in kB")
        right.set_xlabel("latency in µs")
        left.set_ylabel("accuracy on the validation split" if quality == "accuracy" else "noise of the outputs")
        parent, processor = report["parent"].split("@")[0], report["machine"]["cpu"]
        title = f"{parent}: the result of each step\n{processor}, one thread, batch 1; upper left is better"
        figure.suptitle(title.replace("$", r"\$"), x=0.01, ha="left")
        figure.legend(handles=_legend(report), loc="outside lower left", ncols=3, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _panel(axes: Axes, report: Row, name: str, across: list[float], quality: str) -> None:
    rows = report["steps"]
    up = [row["validation_accuracy"] if quality == "accuracy" else -row["noise"] for row in rows]
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_xlim(0, 1.25 * max(across))
    axes.set_ylim(*_limits(up, quality))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    digits = 1 if max(up) - min(up) > 0.01 else 2
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):.{digits}%}"))
    points = list(zip(rows, across, up, strict=True))
    for row, x, y in points:
        best = row["step"] == report["best"]
        axes.plot(
            x,
            y,
            "o",
            color=PARETO if row["pareto"] else DOMINATED,
            markersize=9,
            markeredgecolor=BEST if best else "none",
            markeredgewidth=2.5 if best else 0,
            zorder=3 if row["pareto"] else 2,
            gid=f"{name}-{row['step']}",
        )
    _label(axes, points)


def _limits(up: list[float], quality: str) -> tuple[float, float]:
    """Not from 0: the steps that were kept differ by a point or so. Never far beyond what is possible."""
    middle, spread = (max(up) + min(up)) / 2, max(max(up) - min(up), SPAN[quality])
    high = min(middle + 0.65 * spread, (1 if quality == "accuracy" else 0) + 0.15 * spread)
    return high - 1.3 * spread, high


def _label(axes: Axes, points: list[tuple[Row, float, float]]) -> None:
    """Each step's name beside its point; names that would overlap go apart, with a line to the point."""
    low, high = axes.get_ylim()
    room = (high - low) / 16  # of one line of text
    taken: list[tuple[float, float]] = []
    width = axes.get_xlim()[1] / 5
    for row, x, y in sorted(points, key=lambda point: (not point[0]["pareto"], -point[2])):
        free = (y + shift * room for shift in (0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5))
        at = next(
            (
                height
                for height in free
                if low + room / 2 < height < high - room / 2
                and not any(abs(x - left) < width and abs(height - other) < room for left, other in taken)
            ),
            y,
        )
        taken.append((x, at))
        axes.annotate(
            row["step"],
            (x, y),
            (10, (at - y) / (high - low) * axes.bbox.height * 72 / axes.figure.dpi),
            textcoords="offset points",
            va="center",
            color="#333333" if row["pareto"] else "#777777",
            weight="bold" if row["pareto"] else "normal",
            arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.6} if at != y else None,
        )


def _legend(report: Row) -> list[Line2D]:
    within = f" within {report['max_drop']:g} points" if "validation_accuracy" in report["steps"][0] else ""
    style: Any = {"marker": "o", "linestyle": "none", "markersize": 8}
    return [
        Line2D([], [], color=PARETO, label="Pareto optimal: no other is better in size, latency and quality", **style),
        Line2D([], [], color=DOMINATED, label="dominated by another", **style),
        Line2D(
            [],
            [],
            color="none",
            markeredgecolor=BEST,
            markeredgewidth=2.5,
            label=f"best for {report['target']}{within}",
            **style,
        ),
    ]
