"""What was counted of a model's calls, as a table and a line of small bars."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from amaas.cli.display.curve import STEPS
from amaas.cli.display.tables import line, row, table

Json = dict[str, Any]
NANOSECONDS = 1_000_000  # of a millisecond
WIDTH = 60  # bars


def show(answer: Json, out: Console) -> None:
    """Sums by version and alias; then the requests of each step, and the failed ones if there are some."""
    requests = sum(one["requests"] for one in answer["sums"])
    line(out, answer["model"], f"{requests:,} requests from {answer['since']} to {answer['until']}")
    if answer["sums"]:
        right = ("requests", "4xx", "5xx", "p50 ms", "p95 ms", "cold", "loads")
        rows = table("version", "alias", "revision", *right, "errors", right=right)
        for one in answer["sums"]:
            total = one["latency"]["total"]
            kinds = sorted(one["errors"].items(), key=lambda kind: -kind[1])
            row(
                rows,
                one["version"],
                one["alias"],
                one["revision"],
                f"{one['requests']:,}",
                one["client_errors"] or None,
                one["server_errors"] or None,
                _number(total["p50"]),
                _number(total["p95"]),
                one["cold"] or None,
                one["loads"] or None,
                ", ".join(f"{number} {kind}" for kind, number in kinds[:3]),
            )
        out.print(rows)
        _bars(out, answer, "requests", ("requests",))
        if any(one["client_errors"] or one["server_errors"] for one in answer["sums"]):
            _bars(out, answer, "errors", ("client_errors", "server_errors"))
    if answer["left_out"]:
        line(out, "incomplete:", f"{answer['left_out']} stored objects of this span cannot be read")
    if answer["dropped"]:
        line(out, "incomplete:", f"{answer['dropped']:,} calls were not counted, as a process had too many to remember")


def _bars(out: Console, answer: Json, name: str, members: tuple[str, ...]) -> None:
    """Of the last steps, those without calls left out."""
    steps: dict[str, int] = {}
    for point in answer["series"]:
        steps[point["at"]] = steps.get(point["at"], 0) + sum(point[member] for member in members)
    values = list(steps.values())[-WIDTH:]
    most = max(values, default=0)
    bars = "".join(STEPS[-(-value * (len(STEPS) - 1) // most) if most else 0] for value in values)
    line(out, f"{name:8}", f"{bars}  at most {most:,} a {answer['step']}")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def of_process(out: Console, statistics: Json) -> None:
    """Of the process that answered; the means are in milliseconds."""
    line(out, statistics["name"], f"version {statistics['version']}")
    rows = table("", "count", "mean", right=("count", "mean"))
    for name, figures in statistics["inference_stats"].items():
        mean = f"{figures['ns'] / figures['count'] / NANOSECONDS:.3f} ms" if figures["count"] else ""
        row(rows, name, figures["count"], mean)
    out.print(rows)
