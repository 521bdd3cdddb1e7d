"""Pictures of a run as PNG: learning curves, confusion matrix, calibration. Matplotlib, without a display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GRAY = "#1f6feb", "#d9730d", "#8c959f"
MOST = 30  # classes whose counts are written into the matrix
STEEP = 10
META = {"Software": None}  # the same bytes from the same numbers


def curves(rows: list[dict[str, Any]], path: Path, best: int | None = None) -> None:
    """Loss and accuracy by epoch, of the training and of the validation split. rows: those of metrics.jsonl.

    best: the epoch whose weights were kept.
    """
    figure, (left, right) = _figure(9, 3.6, 2)
    epochs = [row["epoch"] for row in rows]
    for axes, name in ((left, "loss"), (right, "accuracy")):
        for key, label, color in ((name, "training", GRAY), (f"validation_{name}", "validation", BLUE)):
            axes.plot(epochs, [row[key] for row in rows], color=color, label=label, marker=".", linewidth=1.6)
        if name == "accuracy" and "ema_validation_accuracy" in rows[0]:
            averaged = [row["ema_validation_accuracy"] for row in rows]
            axes.plot(epochs, averaged, color=ORANGE, label="validation, averaged weights", marker=".", linewidth=1.6)
        if best is not None:
            axes.axvline(best, color=GRAY, linewidth=1, linestyle="--", label="kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        if name == "loss" and _steep([row[key] for row in rows for key in ("loss", "validation_loss")]):
            axes.set_yscale("log")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
    _save(figure, path)


def _steep(losses: list[float]) -> bool:
    """Whether a few of them would press all others to the floor, as of a network's first steps."""
    return min(losses) > 0 and max(losses) > STEEP * float(np.median(losses))


def confusion(counts: np.ndarray, labels: list[str], path: Path) -> None:
    """counts [true class, predicted class]; colored by their share of the true class."""
    size = min(14.0, 3.0 + 0.45 * len(labels))
    figure, (axes,) = _figure(size + 1, size, 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= MOST:
        for row, column in np.argwhere(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, int(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
    _save(figure, path)


def calibration(figures: dict[str, Any], path: Path) -> None:
    """How often the answer is right, by the score it was given (reliability diagram). found: of quality.calibration."""
    figure, (axes,) = _figure(4.6, 4.4, 1)
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle="--", label="a score that keeps its word")
    scores, right = ([one[key] for one in figures["bins"]] for key in ("score", "accuracy"))
    largest = max(one["count"] for one in figures["bins"])
    sizes = [20 + 200 * one["count"] / largest for one in figures["bins"]]
    axes.plot(scores, right, color=BLUE, linewidth=1.2)
    axes.scatter(scores, right, s=sizes, color=BLUE, alpha=0.6, label="test items, by their number")
    axes.set_xlabel("score of the answer")
    axes.set_ylabel("share of right answers")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_title(f"expected calibration error {figures['error']:.1%}", fontsize=10)
    axes.legend(frameon=False, loc="upper left", fontsize=8, markerscale=0.5)
    _save(figure, path)


def _figure(width: float, height: float, parts: int) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, parts, n + 1) for n in range(parts)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata=META)
