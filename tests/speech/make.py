"""A tiny Whisper with random weights, as Optimum exports it, and what transformers makes of a sound and some tokens.

    python -m tests.speech.make     in an environment with requirements/exports.txt

writes tests/speech/models: encoder.onnx; merged.onnx, a decoder of both kinds of steps in one graph; first.onnx and
later.onnx, the same in two. And reference.npz: features [80, 100] of a second; hidden [50, 64], what the encoder gives;
tokens [40]; logits [40, vocabulary] after each of them; greedy [24], the likeliest tokens behind the first three.
timed [8, 64]: of tones(1, seed) for eight seeds, all tokens by transformers' rules of times, filled up with -1.
And features.npz: of tones of 1.5 s, 80 [80, 3000] and 128 [128, 3000].
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from tests.speech.tokens import END, GENERATION, START, TRANSCRIBE
from tests.speech.tones import RATE, tones

FOLDER = Path(__file__).with_name("models")
VOCABULARY, WIDTH, LAYERS, HEADS, PLACES, CONTEXT, MELS = 160, 64, 2, 4, 50, 64, 80
# what a text is made of is its place and the sound, more than the token before: it would repeat itself
SPREAD = {"model.decoder.embed_tokens.weight": 0.6, "model.decoder.embed_positions.weight": 6.0}
SPREAD |= {f"model.decoder.layers.{layer}.encoder_attn.{name}_proj.weight": 4.0 for layer in range(2) for name in "qv"}
FILES = {
    "encoder_model.onnx": "encoder",
    "decoder_model_merged.onnx": "merged",
    "decoder_model.onnx": "first",
    "decoder_with_past_model.onnx": "later",
}


def configuration() -> transformers.WhisperConfig:
    """Of windows of one second. Its tokens are those of folders.py."""
    return transformers.WhisperConfig(
        vocab_size=VOCABULARY, num_mel_bins=MELS, d_model=WIDTH, max_source_positions=PLACES,
        max_target_positions=CONTEXT, encoder_layers=LAYERS, decoder_layers=LAYERS, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=WIDTH, decoder_ffn_dim=WIDTH, pad_token_id=99, bos_token_id=99,
        eos_token_id=99, decoder_start_token_id=100, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip


def checkpoint(folder: Path) -> None:
    """A model with weights by chance, and the reference beside the exports."""
    model = transformers.WhisperForConditionalGeneration(configuration()).eval()
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            # by the name: how a release of transformers begins is its own affair
            random = np.random.default_rng(list(key.encode()))
            spread = 0.2 if parameter.dim() == 1 else SPREAD.get(key, 1.5) / parameter.shape[-1] ** 0.5
            middle = float("norm" in key and key.endswith("weight"))
            parameter.copy_(torch.from_numpy(random.normal(middle, spread, tuple(parameter.shape))))
        random = np.random.default_rng(0)
        features = random.normal(0, 0.5, (MELS, 2 * PLACES)).astype(np.float32)
        tokens = random.integers(0, VOCABULARY, 40)
        hidden = model.model.encoder(torch.from_numpy(features[None])).last_hidden_state
        logits = model(encoder_outputs=(hidden,), decoder_input_ids=torch.tensor(tokens[None])).logits[0]
        greedy = tokens[:3].tolist()
        while len(greedy) < 27:
            following = model(encoder_outputs=(hidden,), decoder_input_ids=torch.tensor([greedy])).logits[0, -1]
            greedy.append(int(following.argmax()))
    timed = np.full((8, CONTEXT), -1)
    for seed in range(len(timed)):
        found = timed_tokens(model, tones(1, seed))
        timed[seed, : len(found)] = found
    model.save_pretrained(folder)
    arrays = {"features": features, "tokens": tokens, "hidden": hidden[0].numpy(), "logits": logits.numpy()}
    np.savez_compressed(FOLDER / "reference.npz", **arrays, greedy=np.array(greedy[3:]), timed=timed)


def timed_tokens(model: transformers.WhisperForConditionalGeneration, sound: np.ndarray) -> list[int]:
    """Of a sound of one second: START, the language, TRANSCRIBE, then the likeliest tokens by transformers' rules."""
    from transformers.generation import logits_process as rules

    settings = transformers.GenerationConfig(**GENERATION)
    extractor = transformers.WhisperFeatureExtractor(feature_size=MELS, chunk_length=1)
    extracted = extractor(sound, sampling_rate=RATE, return_tensors="pt").input_features
    processors = (
        rules.SuppressTokensAtBeginLogitsProcessor(settings.begin_suppress_tokens, 3),
        rules.SuppressTokensLogitsProcessor(settings.suppress_tokens),
        rules.WhisperTimeStampLogitsProcessor(settings, begin_index=3),
    )
    language = model.detect_language(extracted, generation_config=settings)
    tokens = torch.tensor([[START, int(language[0]), TRANSCRIBE]])
    with torch.no_grad():
        while tokens.shape[1] < CONTEXT // 2 and tokens[0, -1] != END:
            scores = model(extracted, decoder_input_ids=tokens).logits[:, -1]
            for process in processors:
                scores = process(tokens, scores)
            tokens = torch.cat([tokens, scores.argmax(-1, keepdim=True)], 1)
    return [int(token) for token in tokens[0]]


def features() -> None:
    sound = tones(1.5)
    extracted = {
        str(mels): transformers.WhisperFeatureExtractor(feature_size=mels)
        ._np_extract_fbank_features(np.pad(sound, (0, 30 * RATE - len(sound)))[None], "cpu")[0]
        .astype(np.float32)
        for mels in (80, 128)
    }
    np.savez_compressed(FOLDER / "features.npz", **extracted)


def main() -> None:
    from optimum.exporters.onnx import main_export

    FOLDER.mkdir(exist_ok=True)
    features()
    with tempfile.TemporaryDirectory() as temporary:
        source, built = Path(temporary) / "whisper", Path(temporary) / "built"
        checkpoint(source)
        task = "automatic-speech-recognition-with-past"
        shapes = {"nb_max_frames": 2 * PLACES}  # of a second, not of thirty
        main_export(str(source), str(built), task=task, library_name="transformers", do_validation=False, **shapes)
        for file, name in FILES.items():
            shutil.copy(built / file, FOLDER / f"{name}.onnx")


if __name__ == "__main__":
    main()
