"""The Markdown page of a run: what was measured, what it says, and what it does not say."""

from __future__ import annotations

from typing import Any

from bench.inference.beside import CLIENTS, FORMS, MODELS, TITLES
from bench.inference.many import KINDS
from bench.inference.peers import OURS, PEERS
from bench.machine import described

NAMES = {
    "tiny": "4 floats → 3, one dense layer",
    "mobilenet": "MobileNetV3-small, 150,528 floats → 1,000",
    "resnet18": "ResNet-18, 150,528 floats → 1,000",
}
BINARY = dict.fromkeys(("ours", "gateway", "function"), OURS.binary) | {
    name: peer.binary for name, peer in PEERS.items()
}
INTRODUCTION = """\
**What is compared with what.** Every server serves the same model with ONNX Runtime, one thread, one worker, on the
loopback interface, and answered what the bare model does before it was measured. *{ours}*: the inference function's
handler in Uvicorn, the very one of the floor's environment, in place of API Gateway: each request is made into the
gateway's event (base64 and all) and back, and how much that is has a row of its own; records in memory; log lines are
written, to nowhere. *{function}*: the function as deployed, under Amazon's runtime interface emulator and runtime
client, its signed records and models on an S3 server; CPU and memory are of the function's process, latency has the
emulator in it, which takes one call at a time. *FastAPI floor*: by hand with FastAPI, orjson and ONNX Runtime, one
file, no protocol, nothing checked, logged, versioned or counted. The other peers are written as their documentation
has it (bench/peer/), without a line per request where that can be had; MLServer runs the model in its own process,
which is its quickest way; LitServe and BentoML have processes of their own for it. No peer resolves an alias, or knows
a version.

Requests: the protocol's JSON with flat data, numbers as Python writes them; BentoML, and the floor's and LitServe's
binary forms, have bodies of their own. Answers are as each server gives them, not of the same length."""


def markdown(result: dict[str, Any]) -> str:
    parts = ["# Inference on warm functions, beside its peers", _machine(result)]
    if "handler" in result:
        parts += _handler(result["handler"])
    if "peers" in result:
        parts += _peers(result["peers"])
    if "many" in result:
        parts += _many(result["many"])
    return "\n\n".join(parts) + "\n"


def _machine(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    return (
        f"{result['date']}; {described(machine)}; load average {machine['load_average']:.2f} before the run (of "
        f"{result['seconds']} s). "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + (". **The machine was busy with other work: not to be quoted**" if machine["load_average"] > 1 else "")
        + (". **A quick try-out: too few rounds to quote.**" if result["quick"] else ".")
    )


def table(columns: list[str], rows: list[list[str]]) -> str:
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    return "\n".join([head, *("| " + " | ".join(row) + " |" for row in rows)])


# ---- the handler


def _handler(found: dict[str, Any]) -> list[str]:
    rows = []
    for model, by_case in found["figures"].items():
        for case, figures in by_case.items():
            what = "bare `session.run`" if case == "bare" else f"handler, {case}"
            row = [NAMES[model], what, *(f"{figures[key]:,.3f}" for key in ("p50_ms", "p99_ms", "cpu_ms"))]
            rows.append([*row, "" if case == "bare" else f"{figures['added_ms']:+,.3f}", f"{figures['ratio']:.3f}"])
    columns = ["model", "", "p50 ms", "p99 ms", "CPU ms, mean", "ms over the bare run", "times the bare run"]
    return [
        "## What the handler adds to the model",
        "In one process: API Gateway's event in, its answer out; bare runs and calls take turns, and the last two "
        "columns are medians over the pairs.",
        table(columns, rows),
        "\n".join(_target(one) for one in found["targets"]),
    ]


def _target(one: dict[str, Any]) -> str:
    wanted = f"{one['target']:g} times the bare run" if one["figure"] == "ratio" else f"{one['target']:g} ms more"
    state = "met" if one["met"] else "**not met**"
    return f"- {NAMES[one['model']]}, {one['form']}, at most {wanted}: {state} with {one['is']:.3f}"


# ---- the peers


def _peers(found: dict[str, Any]) -> list[str]:
    plan = found["plan"]
    parts = [
        "## Beside other servers, over HTTP",
        INTRODUCTION.format(ours=TITLES["ours"], function=TITLES["function"]),
        f"{plan['rounds']} rounds of turns of {plan['seconds']} s, the servers in rotation; all answers of all rounds.",
        "![latency and CPU of the servers](inference.svg)",
        _versions(found["versions"]),
    ]
    for model in MODELS:
        for form in FORMS:
            parts += [f"**{NAMES[model]}, {form}**", _form(found, model, form)]
    parts += _ratios(found["ratios"])
    if found["absent"]:
        lines = "\n".join(f"- {who}: `{' '.join(why.split())[:600]}`" for who, why in found["absent"].items())
        parts += ["**Not measured, and why**", lines]
    return parts


def _versions(versions: dict[str, Any]) -> str:
    rows = []
    for name, peer in PEERS.items():
        told = versions[name]
        rows.append([peer.title, told[peer.package], told["uvicorn"], told["onnxruntime"], peer.binary])
    rows.append([OURS.title, "this one", versions["floor"]["uvicorn"], versions["ours"]["onnxruntime"], OURS.binary])
    return table(["server", "version", "Uvicorn", "ONNX Runtime", "its binary form"], rows)


def _form(found: dict[str, Any], model: str, form: str) -> str:
    columns = ["server"]
    for count in CLIENTS:
        of = f"{count} client{'s' if count > 1 else ''}"
        columns += [f"{of}: p50 ms", "p99 ms", "CPU s per 1,000", "per second"]
    columns += ["errors", "RSS MiB (processes)"]
    rows = []
    for name, title in TITLES.items():
        memory = found["memory"][model].get(name)
        cells, errors = [], 0
        for count in CLIENTS:
            figures = found["figures"][model][form][str(count)].get(name)
            cells += _cells(figures)
            errors += figures["errors"] if figures else 0
        if all(cell == "-" for cell in cells):
            cells[0] = "none" if BINARY[name].startswith("none") and form == "binary" else "not measured"
        size = f"{memory['rss_mib']:,.0f} ({memory['processes']})" if memory else "-"
        rows.append([title, *cells, str(errors), size])
    return table(columns, rows)


def _cells(figures: dict[str, Any] | None) -> list[str]:
    if not figures or not figures["answers"]:
        return ["-"] * 4
    return [
        f"{figures['p50_ms']:,.2f}",
        f"{figures['p99_ms']:,.2f}",
        f"{figures['cpu_s_per_1000']:,.3f}",
        f"{figures['rate']:,.0f}",
    ]


def _ratios(ratios: list[dict[str, Any]]) -> list[str]:
    cells = [(model, form, count) for model in MODELS for form in FORMS for count in map(str, CLIENTS)]
    by_cell = {(r["peer"], r["model"], r["form"], r["clients"]): r for r in ratios}
    rows = []
    for name, peer in PEERS.items():
        for figure, title in (("p50_ms", "p50"), ("cpu_s_per_1000", "CPU")):
            found = [by_cell.get((name, *cell)) for cell in cells]
            rows.append([peer.title, title, *(_times(one[figure] if one else None) for one in found)])
    above = [r for r in ratios if r["p50_ms"] < 1 or (r["cpu_s_per_1000"] or 1) < 1]
    worst = [f"{PEERS[r['peer']].title}, {r['model']} {r['form']}, {r['clients']} client(s)" for r in above]
    return [
        "### Theirs over ours",
        "Like with like: the handler in the same web server; above 1 means that we need less.",
        table(["server", "", *(f"{model} {form} x{count}" for model, form, count in cells)], rows),
        "The goal, below every peer in p50 and CPU, floor included: "
        + (f"**not met** against {'; '.join(worst)}." if worst else "**met**."),
    ]


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"**{ratio:.2f}**" if ratio < 1 else f"{ratio:.2f}"


# ---- many models


def _many(found: dict[str, Any]) -> list[str]:
    loaded, bounded = found["loaded"], found["bounded"]
    columns = ["", "kind of call", "calls", "p50 ms", "p99 ms", "longest ms"]
    rows = []
    for scenario, calls in loaded["calls"].items():
        rows += [[f"no bound: {scenario}", *_kind(kind, figures)] for kind, figures in calls.items()]
    for scenario, figures in loaded["bare"].items():
        rows.append([f"no bound: 100 loaded, {scenario}", *_kind("bare `session.run`", figures)])
    for scenario, told in bounded["calls"].items():
        rows += [[f"bounded: {scenario}", *_kind(kind, figures)] for kind, figures in told["calls"].items()]
    rows.append(["bounded: Zipf", *_kind("the load alone, in between", bounded["load_alone"])])
    memory = loaded["rss_mib"]
    return [
        "## A hundred models in one function",
        f"{found['models']} models with weights of 1 to 3 MB, {found['bytes'] / 2**20:,.0f} MiB in all, on an S3 "
        "server (SeaweedFS, on this machine), their records signed; binary requests of 64 floats to the handler, in "
        "process. "
        f"*Bounded*: a cache of {found['capacity_mib']:g} MiB, which counts a model with twice its size. "
        + "; ".join(f"*{kind}*: {what}" for kind, what in KINDS.items())
        + ".",
        table(columns, rows),
        f"Resident memory: {memory['before']:,.0f} MiB before the first call, {memory['one']:,.0f} with one model, "
        f"{memory['all']:,.0f} with all. Bounded, {bounded['kept_mib']:g} MiB kept at the end as the cache counts: "
        + "; ".join(_sizes(scenario, told["rss_mib"]) for scenario, told in bounded["calls"].items())
        + f"; from {bounded['rss_before_mib']:,.0f} before the first call.",
        "\n".join(_said(claim, told) for claim, told in found["claims"].items()),
    ]


def _said(claim: str, told: dict[str, Any]) -> str:
    numbers = ", ".join(f"{name}: {number:g}" for name, number in told["numbers"].items())
    return f"- {claim}: {'holds' if told['holds'] else '**does not hold**'} ({numbers})"


def _kind(kind: str, figures: dict[str, Any]) -> list[str]:
    return [
        kind,
        f"{figures['count']:,}",
        f"{figures['p50_ms']:,.3f}",
        f"{figures['p99_ms']:,.3f}",
        f"{figures['max_ms']:,.1f}",
    ]


def _sizes(scenario: str, sizes: list[float]) -> str:
    """At a third of the calls, two thirds and the end: whether it still grows."""
    third = len(sizes) // 3
    return f"{scenario}: {sizes[third]:,.0f}, {sizes[2 * third]:,.0f} and {sizes[-1]:,.0f} MiB at each third"
