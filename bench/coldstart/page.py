"""The page of a run of cold starts, results/<kind>/coldstart.md."""

from __future__ import annotations

from typing import Any

from bench.page import measured, table

# model: its title, and the most that a start from the layer may take of the floor's time; from the store 1.4
TARGETS = {
    "mobilenet": ("MobileNetV3-small, 10 MB", 1.15),
    "resnet18": ("ResNet-18, 47 MB", 1.0),
    "minilm": ("MiniLM-L6, 90 MB", 1.0),
    "magika": ("magika, 3 MB", 1.15),
}
STORE = 1.4
WAYS = {
    "floor": "ten lines, the plain file",
    "floor, one BLAS thread": "the same with OPENBLAS_NUM_THREADS=1",
    "layer": "Amaas, model in the layer",
    "store, named": "Amaas, fetched from S3, named to the function",
    "store": "Amaas, fetched from S3 when asked for",
}

INTRODUCTION = """\
From the start of the process to the answer of the first call, under Amazon's runtime interface emulator with
Amazon's runtime client: each start a new process, the page cache warm, the ways taking turns. **The floor** is a
handler of ten lines in the same layer with the same bytecode: it imports numpy and ONNX Runtime, creates the session
from the plain .onnx (all optimizations, one thread) and runs it. It resolves no alias, checks no digest and no
signature, and reads no request. **Ours** answers a binary Open Inference Protocol request as deployed: state of the
alias and its signature from the store, manifest, model, digest. *Fetched from S3*: from a SeaweedFS server on the
same two cores, whose work counts against ours; *named*: the parameter `Prefetch` says which model to fetch while the
function starts. *Ratio*: of our start to the floor's in the same turn, the median."""


GATEWAY = """\
Where neither function is warm, a caller waits for both, one after the other: the authorizer, which checks the token,
and the function that answers. Sums of starts in the same turn, the median. The gateway replays the authorizer's answer
for ten seconds, and a function that runs is not started. Not in it, for no emulator has it: the network, API Gateway
itself, and what Lambda does before the process starts."""


def markdown(run: dict[str, Any]) -> str:
    versions = {"Python": run["python"], "ONNX Runtime": run["onnxruntime"]}
    about = measured(run, versions, f"Medians of {run['rounds']} starts each.")
    parts = ["# Cold starts", about, INTRODUCTION, "![cold starts beside the floor](coldstart.svg)"]
    for name, (title, _) in TARGETS.items():
        parts += [f"## {title}", _starts(run["models"][name])]
    parts += ["## Against the targets", _targets(run["models"])]
    return "\n\n".join([*parts, "## The first call through the gateway", GATEWAY, _gateway(run)]) + "\n"


def _starts(ways: dict[str, Any]) -> str:
    rows = []
    for way, label in WAYS.items():
        one = ways[way]
        figures = [f"{one['wall_ms']:.0f}", f"{one['ratio']:.2f}", str(one["cpu_ms"]), str(one["rss_mib"])]
        rows.append([label, *figures, f"{one['second_ms']:.1f}"])
    return table(["", "start ms", "of the floor", "CPU ms", "resident MiB", "second call ms"], rows)


def _gateway(run: dict[str, Any]) -> str:
    one = run["authorizer"]
    alone = [f"{one['wall_ms']:.0f}", str(one["cpu_ms"]), str(one["rss_mib"]), f"{one['second_ms']:.1f}"]
    rows = []
    for name, (title, _) in TARGETS.items():
        sums = [f"{run['models'][name][way]['gateway_ms']:.0f}" for way in ("layer", "store, named", "store")]
        rows.append([title, *sums])
    return "\n\n".join(
        [
            table(["", "start ms", "CPU ms", "resident MiB", "second call ms"], [["the authorizer", *alone]]),
            table(["authorizer and function, ms", "from the layer", "from S3, named", "from S3, asked for"], rows),
        ]
    )


def _targets(models: dict[str, Any]) -> str:
    rows = []
    for name, (title, most) in TARGETS.items():
        layer, named, unnamed = (models[name][way]["ratio"] for way in ("layer", "store, named", "store"))
        limit = f"≤ {most:.2f}" if most > 1 else "< 1"
        store = f"{named:.2f} {_met(named <= STORE)} · {unnamed:.2f} {_met(unnamed <= STORE)}"
        rows.append([title, f"{layer:.2f} {_met(layer <= most)}", limit, store, f"≤ {STORE}"])
    return table(["model", "from the layer", "target", "from S3, named · asked for", "target"], rows)


def _met(met: bool) -> str:
    return "met" if met else "**missed**"
