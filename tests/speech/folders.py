"""The tiny model of speech as a folder that Optimum leaves, to push and to serve."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx

from tests.speech import tokens
from tests.speech.test_hearer import MODELS

FILES = {
    "merged": {"encoder_model": "encoder", "decoder_model_merged": "merged"},
    "two": {"encoder_model": "encoder", "decoder_model": "first", "decoder_with_past_model": "later"},
}


def own_names(folder: Path, names: dict[str, str]) -> Path:
    """The folder with the weights of its graphs, by name, in files of these names."""
    for name, location in names.items():
        model = onnx.load(folder / f"{name}.onnx")
        for weight in model.graph.initializer:
            if len(weight.raw_data) > 64:
                onnx.external_data_helper.set_external_data(weight, location)
        onnx.save(model, folder / f"{name}.onnx")
    return folder


def write(folder: Path, form: str = "merged", inner: str = ".", **settings: Any) -> Path:
    """A folder of one of the forms of decoders. inner: where its graphs are. settings: of generation_config.json."""
    (folder / inner).mkdir(parents=True, exist_ok=True)
    for name, source in FILES[form].items():
        shutil.copy(MODELS / f"{source}.onnx", folder / inner / f"{name}.onnx")
    described = {
        "model_type": "whisper", "vocab_size": 160, "num_mel_bins": 80, "d_model": 64, "decoder_attention_heads": 4,
        "max_source_positions": 50, "max_target_positions": 64, "eos_token_id": tokens.END,
    }  # fmt: skip
    for file, content in (
        ("config.json", described),
        ("generation_config.json", tokens.GENERATION | settings),
        ("preprocessor_config.json", {"feature_size": 80, "chunk_length": 1}),
        ("tokenizer_config.json", {}),
    ):
        (folder / file).write_text(json.dumps(content))
    (folder / "tokenizer.json").write_text(tokens.tokenizer().to_str())
    return folder
