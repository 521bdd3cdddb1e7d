"""What the gate takes of a large model: CPU, and resident memory at most, mapped files included.

    python -m bench.large.gate [--quick] [--write]       in the environment `dev`, by `make bench-large`

A package is checked in a process of its own, by the gate's own code; what is counted is the largest of its processes.
The models of 1 and 3 GB have random weights (`python -m bench.random_model`).
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from bench.large.record import HOME, Figures, apart, measured

MODELS = {"SmolLM2, 8 bits": "forms/weight8", "SmolLM2, FP32": "fp32", "1 GB": "random1000", "3 GB": "random3000"}
ONE = "one"  # the argument that comes before a folder


def check(folder: Path) -> Figures:
    """In this process, which has had no other child."""
    from amaas.api import package

    from shared.ingest.candidate import check_package
    from shared.ingest.verdict import Limits
    from shared.package import manifest

    with package.opened(folder) as files, tempfile.TemporaryDirectory(dir=HOME) as room:
        described = manifest.decode(files["amaas.json"].read_bytes(), check_names=True)
        started = time.perf_counter()
        check_package("model", described, files, Limits(), Path(room))
        seconds = time.perf_counter() - started
        largest = max(path.stat().st_size for path in files.values())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "largest_mb": largest / 1e6,
        "seconds": seconds,
        "cpu_s": used.ru_utime + used.ru_stime,
        "resident_mb": used.ru_maxrss * 1024 / 1e6,
    }


def measure(quick: bool) -> Figures:
    some = list(MODELS.items())[: 1 if quick else None]
    return {"models": {name: apart("bench.large.gate", ONE, str(HOME / folder)) for name, folder in some}}


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        print(json.dumps(check(Path(sys.argv[2]))))
    else:
        measured("gate", measure, __doc__)
