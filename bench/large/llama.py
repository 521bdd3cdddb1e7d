"""Tokens per second of CPU beside llama.cpp, of the same weights at the same widths.

    python -m bench.large.llama [--quick] [--write]      in the environment `language`, by `make bench-large`

llama.cpp is node-llama-cpp's build for this kind of processor, with one thread, as ours. Its files are made of the
package's GGUF: all matrices in FP32, in blocks of 8 bits (Q8_0), and as the package has them (Q4_1). Ours are FP32, our
form of 8 bits, and 4 bits by GenAI's builder, whose roundings differ. Prompt and number of tokens are the same, and
turns alternate.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from bench.large.decode import ONE, PROMPT, ROUNDS, TOKENS, Ours, Seconds, folder_of, turns
from bench.large.record import HOME, Figures, apart, measured
from bench.machine import ROOT
from examples.models import smollm2
from examples.models.kept import inputs, kept

PACKAGES = ROOT / ".local" / "llama"  # of Node
TYPES = {"fp32": "F32", "weight8": "Q8_0", "int4": "Q4_1"}  # by our form


class LlamaCpp:
    """A process of it with one model."""

    def __init__(self, model: Path) -> None:
        command = ["node", str(Path(__file__).with_name("llama.mjs")), str(PACKAGES), str(model)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def bare(self, prompt: list[int]) -> Seconds:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"prompt": prompt, "tokens": TOKENS}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("llama.cpp ended: its message is above")
        taken = json.loads(answer)
        return {"prefill": taken["prefill"], "decode": taken["decode"]}

    def end(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def source() -> Path:
    [file] = [file for file in metadata.files(smollm2.PACKAGE) or () if file.name == smollm2.FILE]
    return Path(str(file.locate()))


def write(target: Path, kind: str) -> None:
    """The package's GGUF file with its matrices as `kind`; Q4_1 is what it has."""
    if kind == "Q4_1":
        target.symlink_to(source())
        return
    read = gguf.GGUFReader(source())
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in read.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":  # which the writer adds
            inner = field.types[1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    for tensor in read.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if kind == "F32" or tensor.tensor_type == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(tensor.name, values)
        else:
            width = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, width), raw_dtype=width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def model(kind: str) -> Path:
    made_of = inputs((smollm2.PACKAGE, "gguf"), [Path(__file__)])
    return kept(HOME / "gguf" / kind, made_of, lambda folder: write(folder / "model.gguf", kind)) / "model.gguf"


def beside(form: str, kind: str, rounds: int) -> dict[str, Any]:
    ours = Ours(folder_of(form))
    theirs = LlamaCpp(model(kind))
    prompt = np.random.default_rng(0).integers(100, 40_000, PROMPT).tolist()
    medians = turns({"ours": lambda: ours.bare(prompt), "llama": lambda: theirs.bare(prompt)}, rounds)
    theirs.end()
    bare, other = medians["ours"], medians["llama"]
    return {
        "prefill": PROMPT / bare["prefill"],
        "decode": TOKENS / bare["decode"],
        "llama_prefill": PROMPT / other["prefill"],
        "llama_decode": TOKENS / other["decode"],
        "prefill_ratio": other["prefill"] / bare["prefill"],
        "decode_ratio": other["decode"] / bare["decode"],
    }


def measure(quick: bool) -> Figures:
    rounds = str(1 if quick else ROUNDS)
    forms = {form: apart("bench.large.llama", ONE, form, rounds) for form in TYPES}
    version = json.loads((PACKAGES / "node_modules" / "node-llama-cpp" / "package.json").read_text())["version"]
    return {"versions": {"node-llama-cpp": version}, "types": TYPES, "forms": forms}


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        print(json.dumps(beside(sys.argv[2], TYPES[sys.argv[2]], int(sys.argv[3]))))
    else:
        measured("llama", measure, __doc__)
