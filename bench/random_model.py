"""A decoder of a given size with weights by chance, by the builder of ONNX Runtime GenAI: to try large sizes with.

    python -m bench.random_model 1000 FOLDER          megabytes; in the environment `language`, after `make language`

It has SmolLM2's tokenizer and template. What it says means nothing; how large it is, and how long a token takes, does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.machine import ROOT

MODELS = ROOT / ".local" / "language"
WIDTH, LAYERS, STEP = 64, 24, 256  # of a head; of a model; of its width


def shape(parameters: int, vocabulary: int) -> dict[str, int]:
    """The configuration: as wide as 24 layers ask for, in steps, and then the number of layers that comes closest.

    A quarter of the heads is for keys and values, and the feed-forward is three times as wide as the rest.
    """

    def layer(hidden: int) -> int:
        return 2 * hidden**2 + 2 * hidden * (hidden // 4) + 3 * hidden * 3 * hidden

    widths = range(STEP, 8192, STEP)
    hidden = min(widths, key=lambda hidden: abs(vocabulary * hidden + LAYERS * layer(hidden) - parameters))
    layers = max(1, round((parameters - vocabulary * hidden) / layer(hidden)))
    heads = hidden // WIDTH
    return {"hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers} | {
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 4,
    }


def make(megabytes: int, folder: Path, precision: str = "fp32", bytes_each: float = 4) -> None:
    """Builds the folder: `model.onnx`, `model.onnx.data`, the configurations, the tokenizer."""
    import torch
    import transformers

    hf = MODELS / "hf"
    config: dict[str, Any] = json.loads((hf / "config.json").read_text())
    config |= shape(int(megabytes * 1e6 / bytes_each), config["vocab_size"]) | {"head_dim": WIDTH}
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        checkpoint = Path(temporary) / "hf"
        shutil.copytree(hf, checkpoint, ignore=shutil.ignore_patterns("*.safetensors"))
        model = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**config), dtype=torch.float32)
        model.save_pretrained(checkpoint)
        del model
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(checkpoint), "-o", str(folder)]
        subprocess.run([*command, "-p", precision, "-e", "cpu"], check=True, capture_output=True)
        for described in checkpoint.glob("*config.json"):
            shutil.copy(described, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", type=int)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.parent.mkdir(parents=True, exist_ok=True)
    make(options.megabytes, options.folder)
    size = sum(file.stat().st_size for file in options.folder.iterdir())
    print(f"{options.folder}: {size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
