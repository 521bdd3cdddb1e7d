"""The parts of results/large.md: each is measured by a command of its own, and kept in results/large.json."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import page
from bench.machine import DEPLOYED, ROOT

FOLDER = ROOT / "bench" / "results"
HOME = ROOT / ".local" / "language"  # of the models
TITLE = "# Large models"
ABOUT = """\
Parts are measured one after another, each by its own command, on a machine that does nothing else. Ratios are of turns
in one run, and medians count. Seconds of CPU are of all processes that take part.
"""
TIMED = ("service", "threads")  # the others count seconds of CPU
Figures = dict[str, Any]


def measured(part: str, measure: Callable[[bool], Figures], about: str | None) -> None:
    """A command: measures a part, prints it, and with --write keeps it. measure: gets whether it is to be quick."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="to see that it works")
    parser.add_argument("--write", action="store_true", help="into results/large.json, and the page anew")
    options = parser.parse_args()
    run = page.stamp(options.quick)
    figures = measure(options.quick)
    print(json.dumps(figures, indent=1))
    if options.write:
        place = FOLDER / "large.json"
        kept = json.loads(place.read_text()) if place.is_file() else {}
        kept[part] = {"run": run, "figures": figures}
        page.write(FOLDER, "large", kept, text(kept))


def apart(module: str, *arguments: str) -> Any:
    """What a command prints as JSON: in a process of its own, which has its own memory, and functions' settings."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | DEPLOYED, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def text(kept: dict[str, Any]) -> str:
    from bench.large.tables import TABLES, costs

    parts = [f"{TITLE}\n\n{ABOUT}"]
    for part, (heading, table) in TABLES.items():
        if part in kept:
            run, figures = kept[part]["run"], kept[part]["figures"]
            line = page.measured(run, figures.get("versions"), timed=part in TIMED)
            parts.append(f"## {heading}\n\n{line}\n\n{table(figures)}\n")
    if "threads" in kept:
        parts.append(f"## What tokens cost\n\n{costs(kept['threads']['figures'])}\n")
    return "\n".join([*parts, Path(__file__).with_name("conclusions.md").read_text()])
