"""What a second thread brings: tokens per second of time, with one thread and with two, in turns.

    python -m bench.large.threads [--quick] [--write]    in the environment `language`, by `make bench-large`

These are seconds of time, not of CPU: the machine has to be quiet, and has to have two cores.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench.large.decode import PROMPT, ROUNDS, TOKENS, Ours, folder_of, turns
from bench.large.record import Figures, measured

FORMS = ("fp32", "weight8", "int4")


def measure(quick: bool) -> Figures:
    prompt = np.random.default_rng(0).integers(100, 40_000, PROMPT).tolist()
    forms: dict[str, Any] = {}
    for form in FORMS:
        one, two = Ours(folder_of(form), threads=1), Ours(folder_of(form), threads=2)
        runs = {
            "one": lambda: one.bare(prompt, time.perf_counter),  # noqa: B023 - called before the next form
            "two": lambda: two.bare(prompt, time.perf_counter),  # noqa: B023
        }
        medians = turns(runs, 1 if quick else ROUNDS)
        forms[form] = {
            "prefill": PROMPT / medians["one"]["prefill"],
            "decode": TOKENS / medians["one"]["decode"],
            "prefill_ratio": medians["one"]["prefill"] / medians["two"]["prefill"],
            "decode_ratio": medians["one"]["decode"] / medians["two"]["decode"],
        }
    return {"forms": forms}


if __name__ == "__main__":
    measured("threads", measure, __doc__)
