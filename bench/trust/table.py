"""The page of the proofs, from what is kept of them: nothing on it is written by hand."""

from __future__ import annotations

from typing import Any

from bench import page
from bench.machine import described as machine_described
from bench.trust.proof import FILE, Proof, holds

PAGE = FILE.with_suffix(".md")
HEAD = """# Proofs that run long

Each row is one command, `make trust ROWS=ROW` (`python -m bench.trust ROW --write`, environment `dev`), which runs the
tests' own code at full size, and a negative control: the same proof of something broken, which has to go red. Where
tests are run as they are, their seeds are their own. Figures are counts, so a busy machine does not change them; times
are given to plan by, and are those of a busy one. This page is made of `trust.json` by `python -m bench.trust --write`.
"""
COLUMNS = ["row", "what", "n", "seed", "on", "figures", "control", "took", "measured, commit"]


def markdown(proofs: dict[str, Proof], results: dict[str, Any]) -> str:
    done = [_row(row, results[row]) for row in proofs if row in results]
    missing = [f"- `{row}` ({one.title}): not run" for row, one in proofs.items() if row not in results]
    short = [
        f"- `{row}`: {results[row]['n']:,} of {results[row]['full']:,} {results[row]['unit']}"
        for row in proofs
        if row in results and results[row]["n"] < results[row]["full"]
    ]
    failed = [f"- `{row}`: {failure}" for row in proofs if row in results for failure in results[row]["failed"]]
    parts = [HEAD, _when(results), page.table(COLUMNS, done)]
    if failed:
        parts.append("## What did not hold\n\n" + "\n".join(failed))
    if short or missing:
        parts.append("## Not run, or not to its end\n\n" + "\n".join(short + missing))
    parts.append("## On what\n\n" + "\n".join(f"- {line}" for line in _machines(results)))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _when(results: dict[str, Any]) -> str:
    dates = sorted(result["date"] for result in results.values())
    return f"From {dates[0]} to {dates[-1]}; each row names its commit." if dates else "Nothing is measured."


def described(row: str, result: dict[str, Any]) -> str:
    """A row in words, for a terminal."""
    control = result["control"]
    lines = [
        f"{row}: {result['title']}: {'holds' if holds(result) else 'DOES NOT HOLD'}",
        f"  {result['n']:,} of {result['full']:,} {result['unit']}, seed {result['seed']}, {result['seconds']:,.0f} s",
        f"  {_figures(result)}",
        f"  control ({control['broken']}): {'red: ' + control['saw'] if control['red'] else 'NOT RED'}",
    ]
    return "\n".join(lines + [f"  {failure}" for failure in result["failed"]])


def _row(row: str, result: dict[str, Any]) -> list[str]:
    control = result["control"]
    verdict = "" if holds(result) else " **does not hold**"
    red = "red" if control["red"] else "**not red**"
    return [
        f"{row}{verdict}",
        result["title"],
        f"{result['n']:,} {result['unit']}",
        str(result["seed"]),
        result["backend"],
        _figures(result),
        f"{control['broken']}: {red}",
        f"{result['seconds']:,.0f} s ({result['cpu_seconds']:,.0f} s of CPU)",
        f"{result['date']}, {result['commit']}",
    ]


def _figures(result: dict[str, Any]) -> str:
    figures = {"failures": result["failures"], **result["figures"]}
    return ", ".join(f"{name} {_written(value)}" for name, value in figures.items())


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _machines(results: dict[str, Any]) -> list[str]:
    """Of all rows: machines and versions, each once."""
    lines = [
        f"{machine_described(one['machine'])}; "
        + ", ".join(f"{name} {number}" for name, number in one["versions"].items())
        for one in results.values()
    ]
    return sorted(set(lines))
