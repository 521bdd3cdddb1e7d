"""Run worlds by their seeds:  python -m tests.simulation [FIRST [COUNT]]

A seed that breaks a rule is replayed by itself: python -m tests.simulation SEED
"""

from __future__ import annotations

import logging
import os
import sys
import time

from tests.simulation import checks, rules
from tests.simulation.world import simulated


def run(seed: int) -> int:
    """Run one world, and check it. Returns how many events it had. Raises Broken."""
    with simulated(seed) as world:
        checks.check(world)
        return world.engine.steps


def fix_hashes(module: str) -> None:
    """Run this command with the same order of sets in each process: else a seed would not be a run."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})


def main() -> None:
    fix_hashes("tests.simulation")
    logging.disable(logging.CRITICAL)
    first, count = (int(sys.argv[1]) if len(sys.argv) > 1 else 0), (int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    began, steps, broken = time.process_time(), 0, 0
    for seed in range(first, first + count):
        try:
            steps += run(seed)
        except rules.Broken as error:
            broken += 1
            print(f"seed {seed}: {error}")
    print(f"{count} worlds, {broken} broken, {steps:,} events, {time.process_time() - began:.1f} s of CPU")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
