"""Language models' folders as exporters leave them, of the tiny decoders beside this, to push and to serve."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import onnx
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

MODELS = Path(__file__).with_name("models")

SPECIAL = ("<unk>", "<|im_start|>", "<|im_end|>")
CHARACTERS = string.ascii_letters + string.digits + "ĠĊ" + "".join(c for c in string.punctuation if c not in "`^|")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role[0] }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>a\n{% endif %}"
)
VOCABULARY, END = 96, 2


def tokenizer(more: int = 0) -> Tokenizer:
    """A token for each character, and three special ones: 96, as the models have. more: tokens beyond those."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *CHARACTERS])}
    assert len(vocabulary) <= VOCABULARY
    built = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    built.add_tokens([f"<more{number}>" for number in range(more)])
    return built


def write(folder: Path, name: str = "llama-genai", *, files: int = 1, context: int = 128, **config: Any) -> Path:
    """A folder with one of the tiny decoders. files: with weights, beside the graph; 0: they are inside."""
    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.load(MODELS / f"{name}.onnx")
    for number, weight in enumerate(model.graph.initializer if files else ()):
        if len(weight.raw_data) > 64:
            part = number % files
            location = "model.onnx_data" if not part else f"model.onnx_data_{part}"
            onnx.external_data_helper.set_external_data(weight, location)
    onnx.save(model, folder / "model.onnx")
    described = {
        "model_type": name.split("-")[0], "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64,
        "head_dim": 16, "max_position_embeddings": context, "eos_token_id": END, **config,
    }  # fmt: skip
    for file, content in (
        ("config.json", described),
        ("generation_config.json", {"eos_token_id": END}),
        ("tokenizer_config.json", {"bos_token": SPECIAL[1], "eos_token": {"content": SPECIAL[2]}}),
    ):
        (folder / file).write_text(json.dumps(content))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "tokenizer.json").write_text(tokenizer().to_str())
    return folder
