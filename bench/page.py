"""What all pages have in common: tables, the line that says when and on what they were measured, and their files."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.machine import ROOT, described, machine


def stamp(quick: bool = False) -> dict[str, Any]:
    """When, of which commit and on which machine: what each run notes first. `+` marks uncommitted changes."""
    git = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit, "quick": quick, "machine": machine()}


def measured(run: dict[str, Any], versions: dict[str, str] | None = None, note: str = "", *, timed: bool = True) -> str:
    """The line below a title. run: what `stamp` noted; of older runs the commit is not known.

    timed: the figures are times, which a busy machine changes, and not counts.
    """
    commit = f", commit {run['commit']}" if run.get("commit") else ""
    load = run["machine"]["load_average"]
    text = f"{run['date']}{commit}; {described(run['machine'])}; load average {load:.2f} before the run."
    text += " " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "." if versions else ""
    text += f" {note}" if note else ""
    if timed and load > 1:
        text += " **The machine was busy with other work: not to be quoted.**"
    return text + (" **A quick run: too small to quote.**" if run.get("quick") else "")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    return "\n".join([head, *("| " + " | ".join(row) + " |" for row in rows)])


def write(folder: Path, name: str, result: dict[str, Any], text: str) -> None:
    """The figures as JSON, from which bench.charts draws, and the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    (folder / f"{name}.md").write_text(text)
