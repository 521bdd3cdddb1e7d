"""The page and the chart of a run of cold starts."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.machine import described
from bench.svg import document, text

# model: its title, and the most that a start from the layer may take of the floor's time; from the store 1.4
TARGETS = {
    "mobilenet": ("MobileNetV3-small, 10 MB", 1.15),
    "resnet18": ("ResNet-18, 47 MB", 1.0),
    "minilm": ("MiniLM-L6, 90 MB", 1.0),
    "magika": ("magika, 3 MB", 1.15),
}
STORE = 1.4
WAYS = {
    "floor": ("ten lines, the plain file", "#9aa5b1"),
    "floor, one BLAS thread": ("the same with OPENBLAS_NUM_THREADS=1", "#c3cad2"),
    "layer": ("Amaas, model in the layer", "#2f6db3"),
    "store, named": ("Amaas, fetched from S3, named to the function", "#6d9fd6"),
    "store": ("Amaas, fetched from S3 when asked for", "#a9c8ea"),
}
WIDTH, LABELS, PLOT, BAR = 860, 300, 440, 17
_text = partial(text, fill="#222")

INTRODUCTION = """\
From the start of the process to the answer of the first call, under Amazon's runtime interface emulator with
Amazon's runtime client: each start a new process, the page cache warm, the ways taking turns. **The floor** is a
handler of ten lines in the same layer with the same bytecode: it imports numpy and ONNX Runtime, creates the session
from the plain .onnx (all optimisations, one thread) and runs it. It resolves no alias, checks no digest and no
signature, and reads no request. **Ours** answers a binary Open Inference Protocol request as deployed: state of the
alias and its signature from the store, manifest, model, digest. *Fetched from S3*: from a SeaweedFS server on the
same two cores, whose work counts against ours; *named*: the parameter `Prefetch` says which model to fetch while the
function starts. *Ratio*: of our start to the floor's in the same turn, the median."""


def markdown(result: dict[str, Any]) -> str:
    machine = result["machine"]
    about = (
        f"{result['date']}; {described(machine)}; load average {machine['load_average']:.2f} before the run. "
        f"Python {result['python']}, ONNX Runtime {result['onnxruntime']}. Medians of {result['rounds']} starts each."
    )
    parts = ["# Cold starts", about, INTRODUCTION, "![cold starts beside the floor](coldstart.svg)"]
    for name, (title, _) in TARGETS.items():
        parts += [f"## {title}", _table(result["models"][name])]
    return "\n\n".join([*parts, "## Against the targets", _targets(result["models"])]) + "\n"


def _table(ways: dict[str, Any]) -> str:
    rows = ["| | start ms | of the floor | CPU ms | resident MiB | second call ms |", "|---|---|---|---|---|---|"]
    for way, (label, _) in WAYS.items():
        found = ways[way]
        figures = f"{found['wall_ms']:.0f} | {found['ratio']:.2f} | {found['cpu_ms']} | {found['rss_mib']}"
        rows.append(f"| {label} | {figures} | {found['second_ms']:.1f} |")
    return "\n".join(rows)


def _targets(models: dict[str, Any]) -> str:
    rows = ["| model | from the layer | target | from S3, named · asked for | target |", "|---|---|---|---|---|"]
    for name, (title, most) in TARGETS.items():
        ways = models[name]
        layer, named, asked = (ways[way]["ratio"] for way in ("layer", "store, named", "store"))
        limit = f"≤ {most:.2f}" if most > 1 else "< 1"
        rows.append(
            f"| {title} | {layer:.2f} {_met(layer <= most)} | {limit} "
            f"| {named:.2f} {_met(named <= STORE)} · {asked:.2f} {_met(asked <= STORE)} | ≤ {STORE} |"
        )
    return "\n".join(rows)


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def svg(result: dict[str, Any]) -> str:
    """Milliseconds from start to answer, by model and way; the floor's as a line through its model's bars."""
    models = result["models"]
    most = max(found["wall_ms"] for ways in models.values() for found in ways.values())
    body, top = [], 56
    for name, (title, _) in TARGETS.items():
        body += _panel(title, models[name], PLOT / most, top)
        top += 40 + len(WAYS) * BAR
    title = _text(16, 28, "Milliseconds from the start of the process to the first answer", 17, weight="bold")
    return document(WIDTH, top, [title, *body])


def _panel(title: str, ways: dict[str, Any], scale: float, top: int) -> list[str]:
    parts = [_text(16, top + 20, title, 14, weight="bold")]
    for row, (way, (label, colour)) in enumerate(WAYS.items()):
        y, found = top + 30 + row * BAR, ways[way]
        length = found["wall_ms"] * scale
        parts.append(_text(LABELS - 8, y + 12, label, 11, "end"))
        parts.append(f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>')
        parts.append(_text(LABELS + length + 6, y + 11, f"{found['wall_ms']:.0f}  ×{found['ratio']:.2f}", 11))
    x = LABELS + ways["floor"]["wall_ms"] * scale
    bottom = top + 28 + len(WAYS) * BAR
    parts.append(
        f'<line x1="{x:.1f}" y1="{top + 26}" x2="{x:.1f}" y2="{bottom}" stroke="#d9741b" stroke-dasharray="3 3"/>'
    )
    return parts
