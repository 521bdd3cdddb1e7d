"""What a second thread brings: tokens per second of time, with one thread and with two, in turns.

    python -m bench.large.threads [--quick] [--write]    in the environment `language`, by `make bench-large`

These are seconds of time, not of CPU: the machine has to be quiet, and has to have two cores.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from bench.large.decode import PROMPT, ROUNDS, TOKENS, Ours, folder_of, turns
from bench.large.record import Figures, measured

FORMS = ("fp32", "weight8", "int4")


def beside(form: str, rounds: int) -> dict[str, Any]:
    prompt = np.random.default_rng(0).integers(100, 40_000, PROMPT).tolist()
    subjects = {count: Ours(folder_of(form), threads=count) for count in (1, 2)}
    runs = {str(count): partial(subject.bare, prompt, time.perf_counter) for count, subject in subjects.items()}
    medians = turns(runs, rounds)
    one, two = medians["1"], medians["2"]
    return {
        "prefill": PROMPT / one["prefill"],
        "decode": TOKENS / one["decode"],
        "prefill_ratio": one["prefill"] / two["prefill"],
        "decode_ratio": one["decode"] / two["decode"],
    }


def measure(quick: bool) -> Figures:
    return {"forms": {form: beside(form, 1 if quick else ROUNDS) for form in FORMS}}


if __name__ == "__main__":
    measured("threads", measure, __doc__)
