"""What calls cost: a table by version, model or memory size, then what it rests on, and what is not in it."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from amaas.cli.display.tables import line, row, table
from amaas.cli.display.text import size

Json = dict[str, Any]
RIGHT = ("requests", "ms billed", "compute", "calls", "transfer", "storage", "total", "per 1,000 answers")


def of_model(answer: Json, out: Console) -> None:
    line(out, answer["model"], f"costs from {answer['since']} to {answer['until']}, in {answer['prices']['currency']}")
    rows = table("version", *RIGHT, right=RIGHT)
    for one in answer["versions"]:
        _add(rows, one["version"], one)
    _add(rows, "sum", answer["sum"])
    out.print(rows)
    if answer["sum"]["stored_bytes"] is not None:
        line(out, "stored:", f"{size(answer['sum']['stored_bytes'])} of blobs, also of versions that nobody called")
    if answer["break_even"]:
        _break_even(answer["break_even"], answer["prices"]["currency"], out)
    _basis(answer, out)


def of_models(answer: Json, out: Console) -> None:
    line(out, "costs", f"from {answer['since']} to {answer['until']}, in {answer['prices']['currency']}")
    rows = table("model", *RIGHT, right=RIGHT)
    for one in answer["models"]:
        _add(rows, one["model"], one)
    out.print(rows)
    line(out, "in all:", _money(sum(one["total"] for one in answer["models"])))
    _basis(answer, out)


def _add(rows: Any, name: object, one: Json) -> None:
    parts = one["parts"]
    row(
        rows,
        name,
        f"{one['requests']:,}",
        None if one["mean_ms"] is None else f"{one['mean_ms']:,.3g}",
        _money(parts["compute"] + parts["starts"]),
        _money(parts["calls"] + parts["gateway"]),
        _money(parts["transfer"]),
        _money(parts["storage"]),
        _money(one["total"]),
        _money(one["per_1000_answers"]),
    )


def _break_even(point: Json, currency: str, out: Console) -> None:
    instance = point["instance"]
    named = f"{instance['name']} ({instance['vcpus']:g} vCPUs, {instance['hour']:g} {currency} an hour)"
    for heading, calls, per_call in (
        ("break-even:", point["calls"], point["per_call"]),
        ("  behind the gateway:", point["calls_behind_gateway"], point["per_call_behind_gateway"]),
    ):
        if calls is None:
            text = f"at no number of calls: {named} would be full at {point['capacity']:,} a month, and costs more"
        else:
            text = f"from {calls:,} calls a month on, {named} is cheaper than {per_call * 1000:.3g} for 1,000 calls"
        line(out, heading, text)
    line(out, "  assumed:", point["assumed"])


def _basis(answer: Json, out: Console) -> None:
    prices = answer["prices"]
    line(out, "prices:", f"{prices['region']}, {prices['date']} ({prices['source']}); {answer['memory_mb']} MB")
    line(out, "assumed:", "; ".join(answer["assumed"]))
    line(out, "not in it:", "; ".join(answer["not_included"]))
    if answer["left_out"] or answer["dropped"]:
        text = f"{answer['left_out']} stored counts cannot be read, {answer['dropped']:,} calls were not counted"
        line(out, "incomplete:", text)


def _money(amount: float | None) -> str | None:
    if amount is None:
        return None
    return f"{amount:,.2f}" if amount >= 100 else f"{amount:.3g}" if amount >= 1e-4 or not amount else f"{amount:.1e}"


def of_sizes(answer: Json, out: Console) -> None:
    """Of a sweep: what was measured at each memory size, and which ones suit."""
    prices, advice = answer["prices"], answer["advice"]
    line(out, f"{answer['model']}@{answer['version']}", f"by memory size, in {prices['currency']}")
    right = ("MB", "median ms", "p95 ms", "start ms", "used MB", "per 1,000 calls")
    rows = table(*right, "", right=right)
    for one in answer["sizes"]:
        times = (None if one[name] is None else f"{one[name]:,.1f}" for name in ("median_ms", "p95_ms", "start_ms"))
        remark = one["failure"] or (None if one["fits"] else "nearly full")
        row(rows, one["memory_mb"], *times, one["used_mb"], _money(one["per_1000"]), remark)
    out.print(rows)
    named = (("cheapest:", "cheapest"), ("fastest within 10 % of it:", "fastest"), ("smallest that fits:", "smallest"))
    for heading, name in named:
        line(out, heading, "not known" if advice[name] is None else f"{advice[name]} MB")
    for note in answer["not_known"]:
        line(out, "not known:", note)
    line(out, "prices:", f"{prices['region']}, {prices['date']} ({prices['source']})")
    line(out, "then:", "make deploy with InferenceMemory set to the size that you choose")
