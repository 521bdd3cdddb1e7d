"""The page of a run, results/<kind>/inference.md: what was measured, what it says, and what it does not say."""

from __future__ import annotations

from typing import Any

from bench.page import measured, table

MODELS, FORMS, CLIENTS = ("tiny", "mobilenet"), ("json", "binary"), (1, 4)
NAMES = {
    "tiny": "4 floats → 3, one dense layer",
    "mobilenet": "MobileNetV3-small, 150,528 floats → 1,000",
    "resnet18": "ResNet-18, 150,528 floats → 1,000",
}
# of the chart
PANELS = {
    ("tiny", "json"): "4 floats, JSON",
    ("tiny", "binary"): "4 floats, binary",
    ("mobilenet", "json"): "MobileNetV3-small, JSON of 150,528 floats",
    ("mobilenet", "binary"): "MobileNetV3-small, binary",
}
TITLES = {
    "ours": "Amaas, same web server", "gateway": "(of it, without the function)",
    "function": "Amaas, Lambda's emulator", "floor": "FastAPI floor", "litserve": "LitServe", "bentoml": "BentoML",
    "kserve": "kserve server", "mlserver": "MLServer",
}  # fmt: skip
EXTENSION = "the protocol's binary extension"
BINARY = {
    "ours": EXTENSION, "floor": "bare bytes, nothing checked", "litserve": "a file in a form",
    "bentoml": "a file in a form; the answer is JSON", "kserve": EXTENSION, "mlserver": "none over HTTP",
}  # fmt: skip
# what was set out to be reached: at most so many times, or ms more than, the bare run
TARGETS = [
    ("resnet18", "binary", "ratio", 1.05),
    ("tiny", "binary", "added_ms", 0.2),
    ("tiny", "json", "added_ms", 0.2),
]
INTRODUCTION = """\
**What is compared with what.** Every server serves the same model with ONNX Runtime, one thread, one worker, on the
loopback interface, and answered what the bare model does before it was measured. *{ours}*: the inference function's
handler in Uvicorn, the very one of the floor's environment, in place of API Gateway: each request is made into the
gateway's event (base64 and all) and back, and how much that is has a row of its own; log lines are written, to
nowhere. *{function}*: the function as deployed, under Amazon's runtime interface emulator and runtime client; CPU and
memory are of the function's process, latency has the emulator in it, which takes one call at a time. Both read signed
records and models on an S3 server. *FastAPI floor*: by hand with FastAPI, orjson and ONNX Runtime, one file, no
protocol, nothing checked, logged, versioned or counted. The other peers are written as their documentation has it
(bench/inference/peer/), without a line per request where that can be had; MLServer runs the model in its own process,
which is its quickest way; LitServe and BentoML have processes of their own for it. No peer resolves an alias, or knows
a version.

Requests: the protocol's JSON with flat data, numbers as Python writes them; BentoML, and the floor's and LitServe's
binary forms, have bodies of their own. Answers are as each server gives them, not of the same length."""


def markdown(run: dict[str, Any]) -> str:
    parts = ["# Inference on warm functions, beside its peers", measured(run, run["versions"])]
    for name, written in {"handler": _handler, "peers": _peers, "many": _many}.items():
        parts += written(run[name]) if name in run else []
    return "\n\n".join(parts) + "\n"


def _handler(figures: dict[str, Any]) -> list[str]:
    rows = []
    for model, by_case in figures.items():
        for case, one in by_case.items():
            what = "bare `session.run`" if case == "bare" else f"handler, {case}"
            row = [NAMES[model], what, *(f"{one[key]:,.3f}" for key in ("p50_ms", "p99_ms", "cpu_ms"))]
            rows.append([*row, "" if case == "bare" else f"{one['added_ms']:+,.3f}", f"{one['ratio']:.3f}"])
    columns = ["model", "", "p50 ms", "p99 ms", "CPU ms, mean", "ms over the bare run", "times the bare run"]
    targets = []
    for model, form, figure, most in TARGETS:
        value = figures[model][form][figure]
        limit = f"{most:g} times the bare run" if figure == "ratio" else f"{most:g} ms more"
        met = "met" if value <= most else "**not met**"
        targets.append(f"- {NAMES[model]}, {form}, at most {limit}: {met} with {value:.3f}")
    return [
        "## What the handler adds to the model",
        "In one process: API Gateway's event in, its answer out; bare runs and calls take turns, and the last two "
        "columns are medians over the pairs.",
        table(columns, rows),
        "\n".join(targets),
    ]


def _peers(run: dict[str, Any]) -> list[str]:
    plan, versions = run["plan"], []
    for name, binary in BINARY.items():
        one = run["versions"][name]
        server, web = ("this one", run["versions"]["floor"]) if name == "ours" else (one["server"], one)
        versions.append([TITLES[name], server, web["uvicorn"], one["onnxruntime"], binary])
    parts = [
        "## Beside other servers, over HTTP",
        INTRODUCTION.format(**TITLES),
        f"{plan['rounds']} rounds of turns of {plan['seconds']} s, the servers in rotation; all answers of all rounds.",
        "![latency and CPU of the servers](inference.svg)",
        table(["server", "version", "Uvicorn", "ONNX Runtime", "its binary form"], versions),
    ]
    for model in MODELS:
        for form in FORMS:
            parts += [f"**{NAMES[model]}, {form}**", _form(run, model, form)]
    parts += _ratios(run["ratios"])
    if run["absent"]:
        lines = "\n".join(f"- {who}: `{' '.join(why.split())[:600]}`" for who, why in run["absent"].items())
        parts += ["**Not measured, and why**", lines]
    return parts


def _form(run: dict[str, Any], model: str, form: str) -> str:
    columns, rows = ["server"], []
    for count in CLIENTS:
        of = f"{count} client{'s' if count > 1 else ''}"
        columns += [f"{of}: p50 ms", "p99 ms", "CPU s per 1,000", "per second"]
    for name, title in TITLES.items():
        memory, cells, errors = run["memory"][model].get(name), [], 0
        for count in CLIENTS:
            one = run["figures"][model][form][str(count)].get(name)
            cells += _cells(one)
            errors += one["errors"] if one else 0
        if all(cell == "-" for cell in cells):
            cells[0] = "none" if name == "mlserver" and form == "binary" else "not measured"
        size = f"{memory['rss_mib']:,.0f} ({memory['processes']})" if memory else "-"
        rows.append([title, *cells, str(errors), size])
    return table([*columns, "errors", "RSS MiB (processes)"], rows)


def _cells(one: dict[str, Any] | None) -> list[str]:
    if not one or not one["answers"]:
        return ["-"] * 4
    figures = [f"{one['p50_ms']:,.2f}", f"{one['p99_ms']:,.2f}", f"{one['cpu_s_per_1000']:,.3f}"]
    return [*figures, f"{one['rate']:,.0f}"]


def _ratios(ratios: list[dict[str, Any]]) -> list[str]:
    cells = [(model, form, count) for model in MODELS for form in FORMS for count in map(str, CLIENTS)]
    by_cell = {(row["peer"], row["model"], row["form"], row["clients"]): row for row in ratios}
    rows = []
    for name in BINARY:
        if name != "ours":
            for figure, title in (("p50_ms", "p50"), ("cpu_s_per_1000", "CPU")):
                ones = [by_cell.get((name, *cell)) for cell in cells]
                rows.append([TITLES[name], title, *(_times(one[figure] if one else None) for one in ones)])
    below = [row for row in ratios if row["p50_ms"] < 1 or (row["cpu_s_per_1000"] or 1) < 1]
    worst = [f"{TITLES[row['peer']]}, {row['model']} {row['form']}, {row['clients']} client(s)" for row in below]
    return [
        "### Theirs over ours",
        "Like with like: the handler in the same web server; above 1 means that we need less.",
        table(["server", "", *(f"{model} {form} x{count}" for model, form, count in cells)], rows),
        "The goal, below every peer in p50 and CPU, floor included: "
        + (f"**not met** against {'; '.join(worst)}." if worst else "**met**."),
    ]


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"**{ratio:.2f}**" if ratio < 1 else f"{ratio:.2f}"


def _many(run: dict[str, Any]) -> list[str]:
    calls = run["loaded"]["calls"] | run["resolved"]["calls"] | run["bounded"]["calls"]
    rows = [
        [what, f"{one['count']:,}", *(f"{one[key]:,.3f}" for key in ("p50_ms", "p99_ms", "max_ms"))]
        for what, one in calls.items()
    ]
    before, one, every = run["loaded"]["rss_mib"]
    bounded, capacity = run["bounded"], run["capacity"] / 2**20
    thirds = bounded["rss_thirds_mib"]
    grown = bounded["rss_most_mib"] - bounded["rss_before_mib"]
    hits = [calls[f"{what} called again"]["p50_ms"] for what in ("one loaded,", "100 loaded, the same model")]
    claims = {
        f"a hit takes as long with 100 models as with one, within a tenth ({hits[0]:.3f}, {hits[1]:.3f} ms)": (
            hits[1] <= 1.1 * hits[0]
        ),
        f"bounded, memory grows by the cache and a quarter at most ({grown:.0f} MiB)": grown <= 1.25 * capacity,
        f"and stops to grow ({thirds[1]:.0f}, then {thirds[2]:.0f} MiB in the last thirds)": (
            thirds[2] <= 1.05 * thirds[1]
        ),
    }
    return [
        "## A hundred models in one function",
        f"{run['models']} models with weights of 1 to 3 MB, {run['bytes'] / 2**20:,.0f} MiB in all, on an S3 server "
        "(SeaweedFS, on this machine), their records signed; binary requests of 64 floats to the handler, in process. "
        f"*Bounded*: a cache of {capacity:g} MiB, which counts a model with twice its size.",
        table(["calls", "how many", "p50 ms", "p99 ms", "longest ms"], rows),
        f"Resident memory: {before:,.0f} MiB before the first call, {one:,.0f} with one model, {every:,.0f} with all.",
        "\n".join(f"- {claim}: {'holds' if holds else '**does not hold**'}" for claim, holds in claims.items()),
    ]
