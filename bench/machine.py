"""The machine that figures were taken on, and where those of its kind of processor are kept, beside those of others."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from shared.runtime import processor

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / processor.kind()
# as template.yaml sets it for every function; the floor is measured with it and without
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
# as it sets it for the functions that run models
DEPLOYED = ONE_THREAD | {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_TOP_PAD_": "16777216",
}


def machine() -> dict[str, Any]:
    """kind, features: what decides on the kernels that run; figures of two kinds are never compared."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "cpu": names[0] if names else platform.machine(),
        "kind": processor.kind(),
        "features": processor.features(),
        "memory_gib": round(memory, 1),
        "kernel": os.uname().release,
        "load_average": os.getloadavg()[0],
    }


def described(taken: dict[str, Any]) -> str:
    """A line for a page. taken: what `machine` gave; records of before it told the kind have none."""
    kind = f" ({taken['kind']}: {', '.join(taken['features'])})" if "kind" in taken else ""
    return f"{taken['cores']} cores of {taken['cpu']}{kind}, {taken['memory_gib']} GiB, Linux {taken['kernel']}"
