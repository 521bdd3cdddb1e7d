"""Tokens per second of CPU of a language model, beside ONNX Runtime GenAI: writes results/<kind>/language.md.

    python -m bench.language [--quick] [--write]          in the environment `language`; after `make language`

One thread, the same files, turns in one process; the median of the rounds counts. Seconds are of the process's CPU, so
that other work on the machine changes them little. `loop` is what a call adds to the decoder for each token: choosing,
text, stop strings; it is measured behind the decoder in the same run, and without the wall.
"""

from __future__ import annotations

import argparse
import json
import mmap
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime_genai as genai
import tokenizers

from bench import page
from bench.machine import RESULTS, ROOT
from shared.runtime import reading
from shared.runtime.decoder import Decoder
from shared.runtime.zygotes import Decoding
from shared.serving.generation.loop import Conversation, Request, generate
from shared.serving.generation.reader import SessionReader
from shared.serving.generation.sampling import Sampling

MODELS = ROOT / ".local" / "language"
FORMS = ("fp32", "int8")
PROMPT, TOKENS, ROUNDS = 128, 48, 5
ONE_THREAD = {"model": {"decoder": {"session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1}}}}
Seconds = dict[str, float]


class Ours:
    """Our decoder in this process, and the loop above it."""

    def __init__(self, folder: Path) -> None:
        described = json.loads((folder / "genai_config.json").read_text())["model"]
        heads, width = described["decoder"]["num_key_value_heads"], described["decoder"]["head_size"]
        with (folder / "model.onnx.data").open("rb") as file:
            data = {"model.onnx.data": mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)}
        decoding = Decoding(tuple(data), heads, width, described["context_length"])
        before = anonymous()
        self.session = reading.load((folder / "model.onnx").read_bytes(), data, decoding)
        self.loaded = anonymous() - before
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    def bare(self, prompt: list[int]) -> Seconds:
        """Of the decoder alone: what GenAI does, too."""
        model: Decoder = self.session._decoder
        model.rewind(0)
        started = time.process_time()
        logits = model.extend(prompt)
        read = time.process_time()
        for _ in range(TOKENS):
            logits = model.extend([int(logits.argmax())])
        return {"prefill": read - started, "decode": time.process_time() - read}

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


def anonymous() -> int:
    """Bytes of memory of this process's own: without what it has mapped of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) * 1024


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


def measure(form: str, rounds: int) -> dict[str, Any]:
    folder = MODELS / form
    ours, theirs = Ours(folder), Theirs(folder)
    prompt = np.random.default_rng(0).integers(100, 40_000, PROMPT).tolist()
    medians = turns(
        {"ours": lambda: ours.bare(prompt), "genai": lambda: theirs.bare(prompt), "loop": lambda: ours.whole(prompt)},
        rounds,
    )
    bare, whole, other = medians["ours"], medians["loop"], medians["genai"]
    weights = (folder / "model.onnx.data").stat().st_size
    return {
        "prefill": PROMPT / bare["prefill"],
        "decode": TOKENS / bare["decode"],
        "prefill_to_genai": other["prefill"] / bare["prefill"],
        "decode_to_genai": other["decode"] / bare["decode"],
        "loop_share": whole["decode"] / bare["decode"] - 1,
        "first_token": whole["prefill"] / bare["prefill"],
        "weights_mb": weights / 1e6,
        "memory_mb": ours.loaded / 1e6,
    }


def text(result: dict[str, Any]) -> str:
    rows = [
        [
            form, f"{one['weights_mb']:.0f}", f"{one['prefill']:.0f}", f"{one['prefill_to_genai']:.2f}",
            f"{one['decode']:.1f}", f"{one['decode_to_genai']:.2f}", f"{one['loop_share']:.1%}",
            f"{one['first_token']:.2f}", f"{one['memory_mb']:.0f}",
        ]
        for form, one in result["forms"].items()
    ]  # fmt: skip
    columns = ["form", "MB", "prefill, tokens/CPU s", "÷ GenAI", "decode, tokens/CPU s", "÷ GenAI"]
    columns += ["loop's share of a token", "first token ÷ bare prefill", "memory of its own, MB"]
    line = page.measured(result["run"], {"onnxruntime-genai": genai.__version__}, timed=False)
    return f"# A language model, beside ONNX Runtime GenAI\n\n{line}\n\n{__doc__ or ''}\n{page.table(columns, rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    run = page.stamp(options.quick)
    forms = {form: measure(form, 1 if options.quick else ROUNDS) for form in FORMS}
    result = {"run": run, "forms": forms}
    print(text(result))
    if options.write:
        page.write(RESULTS, "language", result, text(result))


if __name__ == "__main__":
    main()
