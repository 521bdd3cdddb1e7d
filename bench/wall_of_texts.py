"""What the wall around a tokenizer costs: prints a table.

    python -m bench.wall_of_texts TOKENIZER_JSON [--seconds N]

The same tokenizer in this process and behind the wall; calls of the two take turns, and medians of differences within
pairs count. Loading is a new runner each time, with the import of the library, beside a parse in this process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench import page
from shared.runtime import confined, tokens, zygotes
from shared.runtime.signature import Session
from shared.runtime.zygotes import Cutting

SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody knows why. "
SIZES = {"1 sentence": (1, 1), "1 text of 128 tokens": (1, 10), "32 texts of 128 tokens": (32, 10)}
LOADS = 15


def pairs(sessions: dict[str, Session], count: int, sentences: int, seconds: float) -> tuple[dict[str, float], float]:
    """Median microseconds by kind, and of the differences."""
    texts = np.array([SENTENCE * sentences] * count, np.object_)
    feeds = {"texts": texts, "paired": np.zeros(count, np.bool_)}
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, session in sessions.items():
            taken[name].append(microseconds(partial(session.run, ["ids", "mask"], feeds)))
    extra = [wall - direct for direct, wall in zip(taken["direct"], taken["wall"], strict=True)]
    return {name: statistics.median(some) for name, some in taken.items()}, statistics.median(extra)


def microseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    raw, cutting = options.tokenizer.read_bytes(), Cutting(128)
    zygotes.zygote()
    loads: dict[str, Callable[[], Session]] = {
        "direct": lambda: tokens.load(raw, cutting),
        "wall": lambda: confined.load_tokenizer(raw, cutting, memory=1 << 30, filtered=True),
    }
    sessions = {name: load() for name, load in loads.items()}
    rows = []
    for name, (count, sentences) in SIZES.items():
        medians, extra = pairs(sessions, count, sentences, options.seconds)
        rows.append([name, f"{medians['direct']:,.0f}", f"{medians['wall']:,.0f}", f"{extra:,.0f}"])
    times = {name: statistics.median(microseconds(load) for _ in range(LOADS)) for name, load in loads.items()}
    rows.append(["loading", *(f"{times[name]:,.0f}" for name in loads), f"{times['wall'] - times['direct']:,.0f}"])
    print(page.table(["call", "direct µs", "wall µs", "more µs"], rows))


if __name__ == "__main__":
    main()
