"""Draws every chart, results/<kind>/NAME.svg, from the figures beside it, NAME.json; in the environment `bench`.

    python -m bench.charts [--out FOLDER] [--format png] [NAME …]

The colors are those of Okabe and Ito, which color-blind people tell apart; each bar has its value beside it.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bench.coldstart import page as coldstart_page
from bench.inference import page as inference_page
from bench.training_page import SERIES

RESULTS = Path(__file__).parent / "results"
BLUE, SKY, ORANGE, RED, GREEN, GREY, SILVER = (
    "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#7f7f7f", "#c7c7c7",
)  # fmt: skip
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "amaas", "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#e5e5e5", "figure.titlesize": 12, "figure.titleweight": "bold",
    "legend.frameon": False,
}  # fmt: skip


def grid(title: str, rows: int, columns: int, height: float, share: bool = True) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9.5, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    return figure, list(figure.subplots(rows, columns, sharey=share, squeeze=False).flat)


def bars(axes: Axes, labels: Sequence[str], series: Sequence[Sequence[tuple[float, str, str]]]) -> None:
    """Horizontal bars, the first label on top. series: of a label, (value, color, what is written beside the bar)."""
    for row, cells in enumerate(series):
        thick = 0.8 / max(map(len, series))
        for n, (value, color, text) in enumerate(cells):
            y = row + (n - (len(cells) - 1) / 2) * thick
            axes.barh(y, value, thick * 0.92, color=color)
            label = axes.annotate(text, (value, y), (3, 0), textcoords="offset points", va="center", fontsize=7.5)
            label.set_bbox({"color": "white", "pad": 0.5})
        if not cells:
            axes.annotate("none", (0, row), (4, 0), ("axes fraction", "data"), "offset points", va="center", color=GREY)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def logarithmic(axes: Axes, unit: str = "") -> None:
    """From a power of ten on, so that a bar's length says something; room for the text beside the longest."""
    values = [bar.get_width() for bar in axes.patches]
    axes.set_xscale("log")
    axes.set_xlim(10 ** math.floor(math.log10(min(values) * 0.9)), max(values) * 4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}{unit}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def inference(run: dict[str, Any]) -> Figure:
    """Of one client: the median of the answers, and CPU seconds per 1,000 calls, which are milliseconds per call."""
    figure, panels = grid("Milliseconds per call, one client: less is better", 2, 2, 7.2)
    colors = {"ours": (BLUE, SKY), "function": (BLUE, SKY), "floor": (GREY, SILVER)}
    titles = {name: title for name, title in inference_page.TITLES.items() if name != "gateway"}
    for axes, (model, form) in zip(panels, inference_page.PANELS, strict=True):
        by_name = run["peers"]["figures"][model][form]["1"]
        series = []
        for name in titles:
            one, shades = by_name.get(name, {}), colors.get(name, (RED, ORANGE))
            values = [one[key] for key in ("p50_ms", "cpu_s_per_1000")] if one.get("answers") else []
            series.append([(value, shade, f"{value:.3g}") for value, shade in zip(values, shades, strict=False)])
        bars(axes, list(titles.values()), series)
        logarithmic(axes, " ms")
        axes.set_title(inference_page.PANELS[model, form])
    panels[0].legend(
        [mpl.patches.Patch(color=color) for color in (BLUE, SKY, RED, ORANGE)],
        ["Amaas: median", "CPU time", "other servers: median", "CPU time"], loc="lower right", fontsize=7.5,
    )  # fmt: skip
    return figure


def coldstart(run: dict[str, Any]) -> Figure:
    """Medians of the starts; the line is the floor's, the factor that of starts in the same turn."""
    figure, panels = grid("Milliseconds from the start of the process to the first answer", 2, 2, 5.6)
    colors = dict(zip(coldstart_page.WAYS, (GREY, SILVER, BLUE, SKY, GREEN), strict=True))
    for axes, (name, (title, _)) in zip(panels, coldstart_page.TARGETS.items(), strict=True):
        ways = run["models"][name]
        series = [
            [(ways[way]["wall_ms"], color, f"{ways[way]['wall_ms']:.0f} ms  ×{ways[way]['ratio']:.2f}")]
            for way, color in colors.items()
        ]
        bars(axes, list(coldstart_page.WAYS.values()), series)
        axes.axvline(ways["floor"]["wall_ms"], color=RED, linestyle=":", linewidth=1.2, zorder=0.5)
        axes.set_xlim(0, max(one["wall_ms"] for one in ways.values()) * 1.45)
        axes.set_title(title)
    return figure


def quantize(run: dict[str, Any]) -> Figure:
    """Bytes to the right, noise upwards on a logarithmic scale from 0.1 % on; names on the side of who made it."""
    figure, panels = grid("Size and noise of quantized models: lower left is better", 1, 2, 4.6, share=False)
    colors = {"ours": (BLUE, "o", -7, "right"), "ONNX Runtime's default": (RED, "s", 7, "left")}
    for axes, model in zip(panels, run["models"].values(), strict=True):
        rows = [row | {"noise": max(row["noise"], 1e-3)} for row in model["rows"] if row["by"]]
        most = max(row["bytes"] for row in rows) / 1e6
        for row in rows:
            color, marker, aside, side = colors[row["by"]]
            place = row["bytes"] / 1e6, row["noise"]
            axes.plot(*place, marker, color=color, markersize=6)
            axes.annotate(row["name"], place, (aside, 0), textcoords="offset points", va="center", ha=side, fontsize=8)
        axes.set_yscale("log")
        axes.set(xlim=(0, 1.6 * most), ylim=(6e-4, 3), xlabel="MB", ylabel="noise")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.set_title(model["title"])
    for name, (color, marker, _, _) in colors.items():
        panels[0].plot([], [], marker, color=color, label=name)
    panels[0].legend(loc="lower right")
    return figure


def training(run: dict[str, Any]) -> Figure:
    figure, [axes] = grid("Test accuracy by seconds of training", 1, 1, 4.2)
    points = {
        "tutorial": [(row["seconds"], row["accuracy"]) for row in run.get("speed", {}).get("tutorial", [])],
        "speed": [(row["trained_s"], row["accuracy"]) for row in run.get("speed", {}).get("ours", [])],
        "best": [(row["trained_s"], row["accuracy"]) for row in run.get("best", {}).get("runs", [])],
    }
    for (name, label), color, marker in zip(SERIES.items(), (RED, BLUE, GREEN), "so^", strict=True):
        if points[name]:
            axes.plot(*zip(*points[name], strict=True), marker, color=color, label=label, markersize=7, alpha=0.85)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g} s")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(loc="lower right")
    return figure


def registry(run: dict[str, Any]) -> Figure:
    """Of the study beside MLflow, which is not repeated: operations per second, with one client and with four."""
    titles = {
        "handler-memory": "handler, in memory", "handler-memory-signed": "the same, signed",
        "handler-s3": "handler, S3 server", "handler-s3-signed": "the same, signed", "http-memory": "HTTP, in memory",
        "http-s3": "HTTP, S3 server", "mlflow-library": "MLflow library, SQLite", "mlflow-rest": "MLflow REST, SQLite",
    }  # fmt: skip
    operations = {
        "register": "register a version", "move": "set an alias", "contend": "set an alias, all on one model",
        "get": "get a version by alias", "page": "list 100 models",
    }  # fmt: skip
    figure, panels = grid("Operations per second: more is better", 3, 2, 9.5)
    for axes, (operation, title) in zip(panels, operations.items(), strict=False):
        series = []
        for name in titles:
            rates = [figures[name]["rate"] for figures in run["speed"][operation].values() if figures]
            shades = ((ORANGE, RED) if name.startswith("mlflow") else (SKY, BLUE))[-len(rates) :]
            series.append([(rate, shade, f"{rate:,.0f}") for rate, shade in zip(rates, shades, strict=True)])
        bars(axes, list(titles.values()), series)
        logarithmic(axes)
        axes.set_title(title)
    panels[5].axis("off")
    panels[5].legend(
        [mpl.patches.Patch(color=color) for color in (SKY, BLUE, ORANGE, RED)],
        ["Amaas, 1 client", "Amaas, 4 clients", "MLflow, 1 client", "MLflow, 4 clients"], loc="center",
    )  # fmt: skip
    return figure


CHARTS: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "coldstart": coldstart, "inference": inference, "quantize": quantize, "registry": registry, "training": training,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *CHARTS], metavar="NAME", help=", ".join(CHARTS))
    parser.add_argument("--out", type=Path, help="another folder than results")
    parser.add_argument("--format", choices=["svg", "png"], default="svg")
    options = parser.parse_args()
    for name in options.names or CHARTS:
        for path in sorted(RESULTS.glob(f"*/{name}.json")):
            target = (options.out or RESULTS) / path.parent.name / f"{name}.{options.format}"
            target.parent.mkdir(parents=True, exist_ok=True)
            with mpl.rc_context(STYLE):
                figure = CHARTS[name](json.loads(path.read_text()))
                metadata = {"Date": None} if options.format == "svg" else {}
                figure.savefig(target, dpi=110, metadata=metadata)
            print(target)


if __name__ == "__main__":
    main()
