"""Proofs that are tests: run by pytest at their full size, and once more with a seeded bug, for the control."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from bench.machine import ROOT
from bench.trust.proof import Outcome


def passing(nodes: str) -> Callable[[int, int], Outcome]:
    """All tests of some files, those that take minutes included; their seeds are their own."""
    return lambda count, seed: _run(nodes.split())


def with_bug(name: str, nodes: str) -> Callable[[int], Outcome]:
    """Some tests, with a bug of tests/simulation/bugs.py: one has to fail."""
    options = ["-p", "tests.simulation.seeded", "--seeded-bug", name, "-x"]
    return lambda seed: _run([*options, *nodes.split()])


def controls(nodes: str) -> Callable[[int], Outcome]:
    """The tests that are negative controls themselves: they break something, and pass if that is found out."""

    def run(seed: int) -> Outcome:
        outcome = _run([*nodes.split(), "-k", "negative_control"])
        broken = outcome.n and not outcome.failures and not outcome.figures["skipped"]
        return Outcome(outcome.n, failures=[f"{outcome.n} negative controls are found out"] if broken else [])

    return run


def _run(arguments: list[str]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "soak or not soak", "--tb=line"]
        done = subprocess.run(
            [*command, f"--junitxml={report}", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(arguments)} cannot be run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    figures = {"passed": len(cases) - len(bad) - len(skipped), "skipped": len(skipped)}
    names = [f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}" for case in bad]
    return Outcome(len(cases), figures, names)
