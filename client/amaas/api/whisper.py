"""A speech model's folder as Optimum leaves it (Whisper), on this side: which of its files are sent, and as what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaas.api import huggingface
from amaas.errors import AmaasError

ENCODER, LATER = "encoder.onnx", "model_with_past.onnx"  # in the package, beside model.onnx
MERGED, FIRST, WITH_PAST = "decoder_model_merged", "decoder_model", "decoder_with_past_model"
ENCODERS = "encoder_model"
EXPORT = "optimum-cli export onnx --task automatic-speech-recognition-with-past --model FOLDER OUT"
# tokens by their texts, where generation_config.json does not say them
PREVIOUS, NO_SPEECH = "<|startofprev|>", ("<|nospeech|>", "<|nocaptions|>")


def is_speech_model(folder: Path) -> bool:
    """Whether a language model's folder is one of speech."""
    return huggingface.read(folder / "config.json").get("model_type") == "whisper"


def graphs(folder: Path, chosen: str | None = None) -> dict[str, Path]:
    """The graphs by their names in the package. chosen: the decoder's file. Raises AmaasError.

    Of a quantized decoder, such as decoder_model_merged_quantized.onnx, the encoder of the same ending.
    """
    for inner in huggingface.FOLDERS:
        place = (folder / chosen).parent if chosen else folder / inner
        ending = _ending(Path(chosen).name if chosen else f"{MERGED}.onnx")
        encoder, merged = place / f"{ENCODERS}{ending}", place / f"{MERGED}{ending}"
        first, later = place / f"{FIRST}{ending}", place / f"{WITH_PAST}{ending}"
        if encoder.is_file() and merged.is_file():
            return {"model.onnx": merged, ENCODER: encoder}
        if encoder.is_file() and first.is_file() and later.is_file():
            return {"model.onnx": first, ENCODER: encoder, LATER: later}
    raise AmaasError(
        f"{folder} is a model of speech without {ENCODERS}.onnx and {MERGED}.onnx: export it first, with `{EXPORT}`, "
        "and push OUT"
    )


def _ending(decoder: str) -> str:
    """What follows the name that exporters give a decoder."""
    for name in (MERGED, WITH_PAST, FIRST):
        if decoder.startswith(name):
            return decoder.removeprefix(name)
    raise AmaasError(f"{decoder} is no decoder of speech: name one like {MERGED}.onnx")


def derive(folder: Path) -> dict[str, Any]:
    """The manifest of a folder. Raises AmaasError."""
    config = huggingface.read(folder / "config.json")
    settings = {**config, **huggingface.read(folder / "generation_config.json")}
    sound = huggingface.read(folder / "preprocessor_config.json")
    texts = _tokens(folder)
    mels = config.get("num_mel_bins", sound.get("feature_size", 80))
    before = {"kind": "speech", "tokenizer": huggingface.TOKENIZER, "mels": mels}
    before["seconds"] = float(sound.get("chunk_length", config.get("max_source_positions", 1500) / 50))
    after: dict[str, Any] = {"kind": "transcription", "start": settings.get("decoder_start_token_id")}
    after["end"] = next(iter(huggingface.numbers(settings.get("eos_token_id"))), None)
    after["no_timestamps"] = settings.get("no_timestamps_token_id", texts.get("<|notimestamps|>"))
    missing = [name for name in ("start", "end", "no_timestamps") if not isinstance(after[name], int)]
    if missing:
        raise AmaasError(f"neither generation_config.json nor tokenizer.json in {folder} says {missing[0]}: add them")
    after |= _languages(settings, texts)
    previous = settings.get("prev_sot_token_id", texts.get(PREVIOUS))
    silent = next((texts[text] for text in NO_SPEECH if text in texts), after["no_timestamps"] - 1)
    after |= {"previous": previous} if isinstance(previous, int) else {}
    after |= {"no_speech": silent, "timestamps": after["no_timestamps"] + 1 < config.get("vocab_size", 0)}
    after |= {"initial": settings["max_initial_timestamp_index"]} if "max_initial_timestamp_index" in settings else {}
    for name, member in (("suppress_tokens", "suppress"), ("begin_suppress_tokens", "begin_suppress")):
        after[member] = [token for token in settings.get(name) or [] if isinstance(token, int) and token >= 0]
    after["context"] = config.get("max_target_positions", 448)
    heads, width = config.get("decoder_attention_heads"), config.get("d_model")
    after |= {"heads": heads, "width": width // heads} if heads and width else {}
    manifest = {"task": "speech-to-text", "preprocess": before, "postprocess": after}
    return manifest | huggingface.described(folder)


def _languages(settings: dict[str, Any], texts: dict[str, int]) -> dict[str, Any]:
    """Languages and tasks; none of a model of one language."""
    known = settings.get("lang_to_id")
    if not known or settings.get("is_multilingual") is False:
        return {}
    tasks = settings.get("task_to_id") or {}
    found: dict[str, Any] = {"languages": {text.strip("<|>"): token for text, token in known.items()}}
    for task in ("transcribe", "translate"):
        token = tasks.get(task, texts.get(f"<|{task}|>"))
        found |= {task: token} if isinstance(token, int) else {}
    return found


def _tokens(folder: Path) -> dict[str, int]:
    """Numbers of the tokenizer's tokens that were added to its texts'."""
    path = folder / huggingface.TOKENIZER
    added = huggingface.read(path).get("added_tokens")
    return {str(one["content"]): int(one["id"]) for one in added or []}
