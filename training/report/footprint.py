"""What a run consumed: time, energy, cost. Measured where the machine reports it; else estimated, and marked so."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")
CORE_WATTS = 10.0  # of one busy core with its share of the machine: the estimate, where nothing is measured
JOULES = 3.6e6  # in a kilowatt hour


Sums = Callable[[float], list[float]]  # of what each process of a group gives


class Footprint:
    """Counts from when it is made. price: of an hour of this machine, in whatever currency.

    What is counted stands still between two looks: the counters of a processor begin anew after some minutes.
    """

    def __init__(self, device: str, price: float | None = None) -> None:
        self.device, self.price = device, price
        self.looked, self.cpu, self.package = time.perf_counter(), _cpu_seconds(), _packages()
        self.total = {"seconds": 0.0, "cpu_seconds": 0.0, "joules": 0.0}

    def look(self, sums: Sums = lambda value: [value]) -> None:
        """Add what was taken since the last look. sums: of a group, whose processes all look at once."""
        now, cpu, package = time.perf_counter(), _cpu_seconds(), _packages()
        seconds, spent = now - self.looked, sums(cpu - self.cpu)[0]
        counted = [(after - before) % span for (before, span), (after, _) in zip(self.package, package, strict=False)]
        joules = sum(counted) / 1e6 if self.package else spent * CORE_WATTS
        joules += _gpu_watts() * seconds if self.device.startswith("cuda") else 0.0
        self.looked, self.cpu, self.package = now, cpu, package
        for name, more in (("seconds", seconds), ("cpu_seconds", spent), ("joules", joules)):
            self.total[name] += more

    def state_dict(self) -> dict[str, float]:
        """Up to the last look, with the processes before this one."""
        return dict(self.total)

    def load_state_dict(self, saved: dict[str, float]) -> None:
        self.total = dict(saved)

    def taken(self) -> dict[str, Any]:
        """seconds, cpu_seconds, kilowatt_hours with how they were found, and cost where there is a price."""
        self.look()
        gpu = ", the GPU's power looked at once an epoch" if self.device.startswith("cuda") else ""
        how = (
            "measured (RAPL: all that the machine did)"
            if self.package
            else f"estimated: {CORE_WATTS:g} W per busy core"
        )
        figures: dict[str, Any] = {
            "seconds": round(self.total["seconds"], 1),
            "cpu_seconds": round(self.total["cpu_seconds"], 1),
            "kilowatt_hours": float(f"{self.total['joules'] / JOULES:.3g}"),
            "energy": how + gpu,
            "cores": os.cpu_count() or 1,
        }
        if self.price is not None:
            figures["cost"] = round(self.total["seconds"] / 3600 * self.price, 4)
        return figures


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _packages() -> list[tuple[int, int]]:
    """Microjoules that each processor has counted, and where it begins anew; empty where that cannot be read."""
    counters = []
    for folder in sorted(RAPL.glob("intel-rapl:[0-9]")):
        try:
            microjoules, span = ((folder / file).read_text() for file in ("energy_uj", "max_energy_range_uj"))
            counters.append((int(microjoules), int(span)))
        except (OSError, ValueError):
            return []
    return counters


def _gpu_watts() -> float:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        return sum(float(line) for line in done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0
