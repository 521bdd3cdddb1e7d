"""Tokens per second of CPU of a language model, beside ONNX Runtime GenAI.

    python -m bench.large.decode [--quick] [--write]     in the environment `language`, by `make bench-large`

One thread, the same files, turns in one process; the median of the rounds counts. Seconds are of the process's CPU, so
that other work on the machine changes them little. `loop` is what a call adds to the decoder for each token: choosing,
text, stop strings; it is measured behind the decoder in the same run, and without the wall.
"""

from __future__ import annotations

import json
import mmap
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime_genai as genai
import tokenizers

from bench.large.record import HOME, Figures, apart, measured
from examples.models import smollm2
from shared.runtime import confined, reading
from shared.runtime.confined import Confined
from shared.runtime.decoder import Decoder
from shared.runtime.zygotes import Decoding
from shared.serving.generation.loop import Conversation, Request, generate
from shared.serving.generation.reader import SessionReader
from shared.serving.generation.sampling import Sampling

FORMS = ("fp32", "int8", "weight8")
PROMPT, TOKENS, ROUNDS = 128, 48, 5
DATA = "model.onnx.data"
MEMORY = 2 << 30  # bytes that a model may take beside its file
ONE = "one"  # the argument that comes before a form
ONE_THREAD = {"model": {"decoder": {"session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1}}}}
Seconds = dict[str, float]


class Ours:
    """Our decoder in this process, and the loop above it."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        with (folder / DATA).open("rb") as file:
            data = {DATA: mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)}
        self.session = reading.load((folder / "model.onnx").read_bytes(), data, decoding_of(folder), threads)
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    def bare(self, prompt: list[int], clock: Callable[[], float] = time.process_time) -> Seconds:
        """Of the decoder alone: what GenAI does, too."""
        model: Decoder = self.session._decoder
        model.rewind(0)
        started = clock()
        logits = model.extend(prompt)
        read = clock()
        for _ in range(TOKENS):
            logits = model.extend([int(logits.argmax())])
        return {"prefill": read - started, "decode": clock() - read}

    def whole(self, prompt: list[int]) -> Seconds:
        """With all that a call does for each token, but the way through the wall and the gateway."""
        reader = SessionReader(self.session)
        request = Request(prompt=prompt, max_tokens=TOKENS + 1, sampling=Sampling(temperature=0), stops=("never",))
        decode = lambda tokens, known: (  # noqa: E731 - one expression
            self.tokenizer.decode(tokens[:known]), self.tokenizer.decode(tokens)
        )  # fmt: skip
        started = time.process_time()
        pieces = generate(Conversation(reader), request, decode, lambda: 1e9)
        next(pieces)
        first = time.process_time()
        for _ in pieces:
            pass
        return {"prefill": first - started, "decode": time.process_time() - first}


class Theirs:
    """ONNX Runtime GenAI."""

    def __init__(self, folder: Path) -> None:
        config = genai.Config(str(folder))
        config.overlay(json.dumps(ONE_THREAD))
        self.model = genai.Model(config)

    def bare(self, prompt: list[int]) -> Seconds:
        params = genai.GeneratorParams(self.model)
        params.set_search_options(max_length=PROMPT + TOKENS + 8, do_sample=False)
        generator = genai.Generator(self.model, params)
        started = time.process_time()
        generator.append_tokens(np.array(prompt, np.int32))
        generator.generate_next_token()
        read = time.process_time()
        for _ in range(TOKENS):
            generator.generate_next_token()
        return {"prefill": read - started, "decode": time.process_time() - read}


def decoding_of(folder: Path) -> Decoding:
    described = json.loads((folder / "genai_config.json").read_text())["model"]
    decoder = described["decoder"]
    return Decoding((DATA,), decoder["num_key_value_heads"], decoder["head_size"], described["context_length"])


def behind_the_wall(folder: Path) -> Confined:
    """With one thread, as a function has it."""
    path, data = str(folder / "model.onnx"), {DATA: str(folder / DATA)}
    return confined.load_decoder(path, data, decoding_of(folder), threads=1, memory=MEMORY, filtered=True)


def memory(folder: Path, prompt: list[int]) -> dict[str, float]:
    """Of a process behind the wall, after a prompt and an answer: what it has of its own, and what the caches are."""
    described = json.loads((folder / "genai_config.json").read_text())["model"]["decoder"]
    heads, width = described["num_key_value_heads"], described["head_size"]
    session = behind_the_wall(folder)
    reader = SessionReader(session)
    reader.rewind(0)
    reader.extend(prompt)
    for token in range(TOKENS):
        reader.extend([token])
    caches = (len(prompt) + TOKENS) * described["num_hidden_layers"] * 2 * heads * width * 4
    return {"memory_mb": session.resident / 1e6, "caches_mb": caches / 1e6}


def turns(runs: dict[str, Callable[[], Seconds]], rounds: int) -> dict[str, Seconds]:
    """The median of each part of each run; one round more is not counted."""
    taken: dict[str, list[Seconds]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            seconds = run()
            if number:
                taken[name].append(seconds)
    return {
        name: {part: statistics.median(one[part] for one in rows) for part in rows[0]} for name, rows in taken.items()
    }


def folder_of(form: str) -> Path:
    """Of SmolLM2: a precision of GenAI's builder, or a form that `amaas optimize` makes of its FP32."""
    if not form.startswith("weight"):
        return smollm2.one(HOME, form)
    return smollm2.form({"fp32": smollm2.one(HOME, "fp32")}, form)


def beside(form: str, rounds: int) -> dict[str, Any]:
    folder = folder_of(form)
    ours, theirs = Ours(folder), Theirs(folder)
    prompt = np.random.default_rng(0).integers(100, 40_000, PROMPT).tolist()
    medians = turns(
        {"ours": lambda: ours.bare(prompt), "genai": lambda: theirs.bare(prompt), "loop": lambda: ours.whole(prompt)},
        rounds,
    )
    bare, whole, other = medians["ours"], medians["loop"], medians["genai"]
    return {
        "prefill": PROMPT / bare["prefill"],
        "decode": TOKENS / bare["decode"],
        "prefill_to_genai": other["prefill"] / bare["prefill"],
        "decode_to_genai": other["decode"] / bare["decode"],
        "loop_share": whole["decode"] / bare["decode"] - 1,
        "first_token": whole["prefill"] / bare["prefill"],
        "weights_mb": (folder / DATA).stat().st_size / 1e6,
    } | memory(folder, prompt)


def measure(quick: bool) -> Figures:
    rounds = str(1 if quick else ROUNDS)
    forms = {form: apart("bench.large.decode", ONE, form, rounds) for form in FORMS}
    return {"versions": {"onnxruntime-genai": genai.__version__}, "forms": forms}


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        print(json.dumps(beside(sys.argv[2], int(sys.argv[3]))))
    else:
        measured("decode", measure, __doc__)
