"""The result of `amaas optimize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from amaas.cli.display.tables import line, row, table
from amaas.cli.display.text import size

Json = dict[str, Any]
NUMBERS = ("version", "size", "validation", "drop", "in service", "round trip")


def result(out: Console, result: Json) -> None:
    rows = table("step", *NUMBERS, "", right=NUMBERS)
    for version in result["versions"]:
        row(rows, *_cells(version))
    out.print(rows)
    for step, reason in result["refused"].items():
        line(out, step, f"was left out: {reason}")
    plot = f"{result['kept']}/pareto.svg"
    line(out, plot, "shows accuracy against size and latency, pareto.json beside it has the figures")
    line(out, result["model"], _conclusion(result))


def forms(out: Console, forms: list[Json], folder: Path) -> None:
    """Of a language model, the float model first."""
    columns = ("size", "tokens agree", "perplexity", "divergence", "tokens/CPU s", "load")
    rows = table("step", *columns, right=columns)
    for form in forms:
        ratio = form["perplexity"] / forms[0]["perplexity"]
        agreed = f"{form['agreed']} of {form['tokens']} ({form['agreement']:.1%})"
        figures = (f"× {ratio:.4f}", f"{form['divergence']:.4f}", f"{form['speed']:.1f}", f"{form['load']:.2f} s")
        row(rows, form["step"], size(form["size"]), agreed, *figures)
    out.print(rows)
    for form in forms:
        if form["refused"]:
            line(out, form["step"], f"was left out: {form['refused']}")
        elif form is not forms[0]:
            line(out, f"amaas push {folder / form['step']}", "registers it")


def _cells(version: Json) -> tuple[Any, ...]:
    accuracy = f"{version['validation_accuracy']:.2%}" if "validation_accuracy" in version else ""
    latency = f"{version['latency_ms']:.3f} ms" if "latency_ms" in version else ""
    trip = f"{version['round_trip_ms']:.1f} ms" if "round_trip_ms" in version else ""
    speed = "not registered" if "refused" in version else "" if version["step"] == "parent" else version["speed"]
    number, bytes_ = version.get("version"), size(version["size"])
    return version["step"], number, bytes_, accuracy, version.get("drop"), latency, trip, speed


def _conclusion(result: Json) -> str:
    best = result["best"]
    if best is None:
        better = "faster" if result["target"] == "latency" else "smaller and not slower"
        return f"no version is {better} in service ({result['compared']}): version {result['from']} stays"
    sentence = f"version {best['version']} ({best['step']}) is best by {result['compared']}"
    if result["promoted"]:
        return f"{sentence}; {result['promoted']['alias']} is now version {best['version']}"
    if best["drop"] is None:
        sentence += ", but its loss of accuracy was not measured"
    return f"{sentence}; `amaas promote {result['model']} {best['version']}` takes it into use"
