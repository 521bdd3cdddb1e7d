"""What a run took: time, energy, and what that cost. Measured where the machine tells it; else estimated, and said."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")
CORE_WATTS = 10.0  # of one busy core with its share of the machine: the estimate, where nothing is measured
JOULES = 3.6e6  # in a kilowatt hour


class Footprint:
    """Counts from when it is made. price: of an hour of this machine, in whatever currency."""

    def __init__(self, device: str, price: float | None = None) -> None:
        self.device, self.price = device, price
        self.started, self.cpu, self.package = time.perf_counter(), _cpu_seconds(), _packages()
        self.gpu_joules, self.looked = 0.0, self.started
        self.before = {"seconds": 0.0, "cpu_seconds": 0.0, "joules": 0.0}

    def look(self) -> None:
        """Add what the GPU draws at present, for the time since the last look; without a GPU, nothing."""
        if self.device.startswith("cuda"):
            now, watts = time.perf_counter(), _gpu_watts()
            self.gpu_joules += watts * (now - self.looked)
            self.looked = now

    def state_dict(self) -> dict[str, float]:
        """So far, with the processes before this one."""
        self.look()
        seconds, cpu = time.perf_counter() - self.started, _cpu_seconds() - self.cpu
        own = {"seconds": seconds, "cpu_seconds": cpu, "joules": self._joules(cpu)}
        return {name: value + self.before[name] for name, value in own.items()}

    def load_state_dict(self, saved: dict[str, float]) -> None:
        self.before = dict(saved)

    def taken(self) -> dict[str, Any]:
        """seconds, cpu_seconds, kilowatt_hours with how they were found, and cost where there is a price."""
        so_far = self.state_dict()
        gpu = ", the GPU's power looked at once an epoch" if self.device.startswith("cuda") else ""
        how = (
            "measured (RAPL: all that the machine did)"
            if self.package
            else f"estimated: {CORE_WATTS:g} W per busy core"
        )
        told: dict[str, Any] = {
            "seconds": round(so_far["seconds"], 1), "cpu_seconds": round(so_far["cpu_seconds"], 1),
            "kilowatt_hours": float(f"{so_far['joules'] / JOULES:.3g}"), "energy": how + gpu,
            "cores": os.cpu_count() or 1,
        }  # fmt: skip
        if self.price is not None:
            told["cost"] = round(so_far["seconds"] / 3600 * self.price, 4)
        return told

    def _joules(self, cpu: float) -> float:
        counted = [
            (after - before) % span for (before, span), (after, _) in zip(self.package, _packages(), strict=False)
        ]
        return (sum(counted) / 1e6 if self.package else cpu * CORE_WATTS) + self.gpu_joules


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _packages() -> list[tuple[int, int]]:
    """Microjoules that each processor has counted, and where it begins anew; empty where that cannot be read."""
    found = []
    for folder in sorted(RAPL.glob("intel-rapl:[0-9]")):
        try:
            found.append((int((folder / "energy_uj").read_text()), int((folder / "max_energy_range_uj").read_text())))
        except (OSError, ValueError):
            return []
    return found


def _gpu_watts() -> float:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
        return sum(float(line) for line in done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0
