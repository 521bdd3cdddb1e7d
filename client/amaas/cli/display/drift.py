"""A model's drift: a line for each version, its columns as a table, the largest effect first; accuracy, and labels."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from amaas.cli.display.tables import line, row, table

Json = dict[str, Any]
COLORS = {"none": "green", "moderate": "yellow", "major": "red"}
FIGURES = ("items", "PSI", "by chance below", "KS", "reference", "calls")


def show(answer: Json, out: Console, *, bins: bool) -> None:
    if not answer["versions"]:
        line(out, answer["model"], f"no calls from {answer['since']} to {answer['until']}")
    for version in answer["versions"]:
        named = f"{answer['model']}@{version['version']}"
        line(out, named, f"{version['state']}: {version['reason']} ({version['requests']:,} requests)")
        columns = sorted(version["columns"], key=lambda column: -(column["effect"] or 0))
        if columns:
            rows = table("column", "of", "severity", *FIGURES[:4], right=FIGURES)
            for column in columns:
                _column(rows, column)
            out.print(rows)
        for column in columns if bins else []:
            if column["severity"] != "none":
                _bins(out, column)
    _incomplete(out, answer)


def show_accuracy(answer: Json, out: Console) -> None:
    """A line for each version."""
    if not answer["versions"]:
        line(out, answer["model"], f"no calls from {answer['since']} to {answer['until']}")
    for version in answer["versions"]:
        named = f"{answer['model']}@{version['version']}"
        if version["estimate"] is None:
            line(out, named, f"{version['state']}: {version['reason']}")
            continue
        low, high = _percent(version["low"]), _percent(version["high"])
        estimate = f"{_percent(version['estimate'])} ({low} to {high}) of {version['items']:,} answers are right"
        trained = f"{_percent(version['trained'])} on the test split"
        line(out, named, f"{version['state']}: {estimate}, {trained}; {version['reason']}")
    for week in answer["measured"]:
        _week(out, answer["model"], week)
    _incomplete(out, answer)


def _week(out: Console, model: str, week: Json) -> None:
    low, high = _percent(week["low"]), _percent(week["high"])
    text = f"measured: {_percent(week['accuracy'])} ({low} to {high}) of {week['items']:,} labeled answers are right"
    mixed_up = ", ".join(f"{one['predicted']} for {one['label']} {one['items']:,}" for one in week["confusions"])
    parts = [text, f"mostly {mixed_up}" if mixed_up else "", week["doubt"] or ""]
    line(out, f"{model}@{week['version']}, week of {week['week']}", "; ".join(part for part in parts if part))


def show_labels(answer: Json, out: Console) -> None:
    """What became of labels that were given."""
    line(out, "accepted", f"{answer['accepted']:,}")
    for one in answer["refused"]:
        line(out, f"refused, number {one['index'] + 1}", one["error"])


def _incomplete(out: Console, answer: Json) -> None:
    if answer["left_out"]:
        line(out, "incomplete:", f"{answer['left_out']} stored objects of this span cannot be read")
    if answer["dropped"]:
        line(out, "incomplete:", f"{answer['dropped']:,} calls were not counted, as a process had too many to remember")


def _column(rows: Any, column: Json) -> None:
    known = column["psi"] is not None
    severity = Text(column["severity"], COLORS[column["severity"]]) if known else "too few items"
    figures = [_number(column[name]) for name in ("psi", "threshold", "distance")]
    row(rows, column["name"], column["of"], severity, f"{column['items']:,}", *figures)


def _bins(out: Console, column: Json) -> None:
    rows = table(column["name"], *FIGURES[4:], right=FIGURES)
    for one in column["bins"]:
        row(rows, one["bin"], _percent(one["reference"]), _percent(one["share"]))
    out.print(rows)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "too few" if share is None else f"{100 * share:.1f} %"
