"""Searches for bytes that are not borne, led by coverage: Atheris, in an environment of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

from bench.machine import ROOT
from bench.trust.proof import Outcome

PYTHON = ROOT / ".local" / "envs" / "fuzz" / "bin" / "python"
INPUTS, COVERAGE = re.compile(r"number_of_executed_units:\s+(\d+)"), re.compile(r"\bcov: (\d+)")
CONTROL_SECONDS = 120  # in which the control's fault has to be seen


def search(target: str) -> Callable[[int, int], Outcome]:
    """For `count` seconds."""
    return lambda count, seed: _search(target, count, seed)


def control(seed: int) -> Outcome:
    return _search("control", CONTROL_SECONDS, seed)


def _search(target: str, seconds: int, seed: int) -> Outcome:
    if not PYTHON.is_file():
        raise RuntimeError("the environment `fuzz` is missing: make .local/envs/fuzz/.ready")
    command = [str(PYTHON), "-m", "tests.fuzz", target, str(seconds), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    inputs, coverage = INPUTS.search(done.stderr), COVERAGE.findall(done.stderr)
    figures = {"inputs": int(inputs[1]) if inputs else 0, "edges covered": int(coverage[-1]) if coverage else 0}
    if done.returncode == 0 and not figures["inputs"]:
        raise RuntimeError(f"no search was made:\n{done.stderr[-2000:]}")
    error = re.search(r"Uncaught Python exception.*?\n(.*?)\n", done.stderr + done.stdout, re.DOTALL)
    wrong = [error[1].strip() if error else done.stderr[-300:]] if done.returncode else []
    return Outcome(seconds, figures, wrong)
