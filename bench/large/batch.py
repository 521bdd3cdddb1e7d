"""Texts at once: tokens per second of CPU with 1, 4 and 8 prompts a step.

    python -m bench.large.batch [--quick] [--write]      in the environment `language`, by `make bench-large`

As a batch job has them: the loop, in this process, and the decoder behind the wall, in its own, with one thread.
Seconds are of the CPU of both, so that other work on the machine changes them little. Prompts are of 16 to 128 tokens
and are read one by one in each case; `decode` is what comes after, `whole` is both. Turns in one run; the median of the
rounds counts.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from bench.large.decode import behind_the_wall, folder_of
from bench.large.record import Figures, measured
from shared.serving.generation import packed
from shared.serving.generation.loop import Conversation, Request
from shared.serving.generation.packed import Asked, Pack
from shared.serving.generation.reader import Packing, SessionReader
from shared.serving.generation.sampling import Sampling

FORMS = ("fp32", "weight8")
AT_ONCE = (1, 4, 8)
PROMPTS, TOKENS, ROUNDS = 16, 48, 3
SHORTEST, LONGEST = 16, 128  # tokens of a prompt
TICKS = os.sysconf("SC_CLK_TCK")


class Subject:
    """A form of the model behind the wall, and what texts are asked of it."""

    def __init__(self, folder: Path, count: int, tokens: int) -> None:
        self.session = behind_the_wall(folder)
        self.reader = SessionReader(self.session)
        self.packing = self.reader.packing()
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        random = np.random.default_rng(0)
        lengths = random.integers(SHORTEST, LONGEST, count).tolist()
        self.requests = [
            Request(
                prompt=random.integers(100, 40_000, length).tolist(),
                max_tokens=tokens,
                sampling=Sampling(temperature=0),
                stops=("never",),
            )
            for length in lengths
        ]

    def decode(self, tokens: list[int], known: int) -> tuple[str, str]:
        return self.tokenizer.decode(tokens[:known]), self.tokenizer.decode(tokens)

    def seconds(self) -> float:
        """Of CPU, of this process and the decoder's."""
        fields = Path(f"/proc/{self.session.pid}/stat").read_text().rpartition(") ")[2].split()
        return time.process_time() + (int(fields[11]) + int(fields[12])) / TICKS

    def run(self, at_once: int, tokens: int | None = None) -> tuple[float, list[str]]:
        """Seconds for all texts, and the texts. tokens: of each; as they are asked, where there is none."""
        pack = Pack(Conversation(self.reader), self.reader, self.room(at_once), self.decode, lambda: 1e9)
        requests = [
            one if tokens is None else Request(prompt=one.prompt, max_tokens=tokens, sampling=one.sampling)
            for one in self.requests
        ]
        before = self.seconds()
        packed.ROWS = at_once
        written = pack.write([Asked(request, str(number)) for number, request in enumerate(requests)])
        assert all(written), "each text comes of the pack"
        return self.seconds() - before, [one.text for one in written if one]

    def room(self, at_once: int) -> Packing:
        """As much as so many of the longest rows need."""
        return Packing(max(self.packing.tokens, at_once * (LONGEST + 2 * packed.SPARE)), self.packing.longest)


def beside(form: str, rounds: int, count: int, tokens: int) -> dict[str, Any]:
    subject = Subject(folder_of(form), count, tokens)
    prompts: list[float] = []
    whole: dict[int, list[float]] = {at_once: [] for at_once in AT_ONCE}
    texts: dict[int, list[str]] = {}
    for number in range(rounds + 1):  # the first one is not counted
        prompts += [subject.run(1, tokens=1)[0]][: number > 0]
        for at_once in AT_ONCE:
            seconds, texts[at_once] = subject.run(at_once)
            whole[at_once] += [seconds][: number > 0]
    said, read = count * tokens, statistics.median(prompts)
    per_second = {at_once: said / statistics.median(seconds) for at_once, seconds in whole.items()}
    behind = {at_once: (said - count) / (statistics.median(seconds) - read) for at_once, seconds in whole.items()}
    return {
        "prompts": count,
        "tokens": tokens,
        "whole": {str(at_once): value for at_once, value in per_second.items()},
        "decode": {str(at_once): value for at_once, value in behind.items()},
        "same": {str(at_once): sum(map(str.__eq__, texts[1], texts[at_once])) / count for at_once in AT_ONCE},
    }


def measure(quick: bool) -> Figures:
    rounds, count, tokens = (1, 8, 24) if quick else (ROUNDS, PROMPTS, TOKENS)
    return {"at_once": AT_ONCE, "forms": {form: beside(form, rounds, count, tokens) for form in FORMS}}


if __name__ == "__main__":
    measured("batch", measure, __doc__)
