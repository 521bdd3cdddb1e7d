"""The checks of a package that makes text of speech, in the confined process.

Graphs → tokenizer → load → rehearsal → golden set. The rehearsal hears a window of tones twice and once without caches:
what answers differently each time, or forgets, is not fit to serve. What runs is what serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.errors import AmaasError
from shared.ingest import decoder_graph, decoders, descriptors, golden_sounds
from shared.ingest.decoder_graph import DecoderGraph
from shared.ingest.verdict import Limits, Refused, Verdict
from shared.package.manifest import Manifest
from shared.package.speech import Speech, Transcription
from shared.runtime import hearer
from shared.runtime.hearer import ENCODER, LATER
from shared.runtime.signature import OutOfMemory, Unloadable
from shared.runtime.zygotes import Decoding
from shared.serving.forms import WEIGHTS
from shared.serving.inputs import log_mel
from shared.serving.speech.ears import Ears
from shared.serving.speech.rules import Rules

TOKENS = 16  # of the rehearsal
FAR = 0.2  # of the largest logit: as decoders.CLOSE, whether or not another token is the likeliest
INPUTS = [{"name": "audio", "datatype": "BYTES", "shape": [1]}]  # what a caller sees: sound comes, text goes
OUTPUTS = [{"name": "text", "datatype": "BYTES", "shape": [1]}]


def prepare() -> None:
    """Before the sandbox closes: import, and use once, what would open files later."""
    decoders.prepare()
    log_mel.features(np.zeros(log_mel.SAMPLE_RATE, np.float32), 80, 1)
    golden_sounds.prepare()


def check(files: Mapping[str, int], spill: int, manifest: Manifest, limits: Limits) -> Verdict:
    """The verdict on a package; as decoders.check. Raises Refused, OutOfMemory."""
    before, after = manifest.preprocess, manifest.postprocess
    assert isinstance(before, Speech) and isinstance(after, Transcription), "others are served as tensors"
    if ENCODER not in files:
        raise Refused("bad_manifest", f"a model of speech has two graphs: add its encoder as {ENCODER}")
    model = decoder_graph.prepare(files, spill, None, limits)
    beside = {
        name: decoder_graph.prepare(files, spill, None, limits, name) for name in (ENCODER, LATER) if name in files
    }
    weights = {name for graph in (model, *beside.values()) for name in graph.files}
    decoder_graph.require_own_files(weights, (before.tokenizer, ENCODER, LATER))
    texts = decoders.open_texts(descriptors.read(files[before.tokenizer]))
    ears = _load(model, beside, {**files, WEIGHTS: spill}, after)
    _check_sizes(ears, before)
    _check_tokens(texts.size(), after, ears.vocabulary)
    rehearsal = _rehearse(ears, before, after)
    golden = golden_sounds.replay(ears, before, after, manifest.golden)
    changes = model.changes + [f"{name}: {change}" for name, graph in beside.items() for change in graph.changes]
    return Verdict(
        accepted=True,
        code="accepted",
        reason="the model passed every check",
        inputs=INPUTS,
        outputs=OUTPUTS,
        **_added(model, *beside.values()),
        optimized=model.body if model.changes else None,
        optimization={"level": "extended", "kept": False, "why": decoders.WHY_NOT, "normalized": changes},
        golden=golden,
        probe="ran",
        weights=tuple(sorted(weights)),
        graphs={name: graph.body if graph.changes else b"" for name, graph in beside.items()},
        generation={"vocabulary": ears.vocabulary, "context": after.context, **rehearsal},
    )


def _added(*graphs: DecoderGraph) -> dict[str, Any]:
    """The facts of all graphs: sums, but of the opset, which is the first one's."""
    facts = dict(graphs[0].facts)
    for graph in graphs[1:]:
        facts["nodes"] += graph.facts["nodes"]
        facts["parameters"] += graph.facts["parameters"]
        counts = facts["operators"]
        facts["operators"] = counts | {
            name: counts.get(name, 0) + count for name, count in graph.facts["operators"].items()
        }
    return facts


def _load(
    model: DecoderGraph, beside: Mapping[str, DecoderGraph], files: Mapping[str, int], after: Transcription
) -> Ears:
    names = {name for graph in (model, *beside.values()) for name in graph.files}
    maps = {name: descriptors.mapped(files[name]) for name in names}
    data: dict[str, Any] = maps | {name: graph.body for name, graph in beside.items()}
    decoding = Decoding(tuple(data), after.heads, after.width, after.context, hears=True)
    try:
        with descriptors.letting_go(maps.values()):
            return Ears(hearer.load(model.body, data, decoding))
    except Unloadable as error:
        raise Refused("invalid_graph", f"{error}; export the model again") from error


def _check_sizes(ears: Ears, before: Speech) -> None:
    """Raises Refused for windows that the encoder does not take."""
    frames = round(before.seconds * log_mel.FRAMES)
    if (ears.mels or before.mels, ears.frames or frames) != (before.mels, frames):
        raise Refused(
            "bad_manifest",
            f"preprocess makes windows of {before.mels} by {frames:,} numbers, and the encoder takes {ears.mels} by "
            f"{ears.frames}: see preprocessor_config.json of the model",
        )


def _check_tokens(size: int, after: Transcription, vocabulary: int) -> None:
    """Raises Refused for a tokenizer, or for tokens, of another model."""
    if size > vocabulary:
        reason = f"the tokenizer has {size:,} tokens and the model {vocabulary:,}: they do not belong together"
        raise Refused("bad_tokenizer", reason)
    single = (after.transcribe, after.translate, after.previous, after.no_speech)
    named = [after.start, after.end, after.no_timestamps, *after.languages.values()]
    beyond = [token for token in (*named, *single) if token is not None and token >= vocabulary]
    if beyond:
        raise Refused("bad_manifest", f"postprocess has the token {beyond[0]:,}, and the model {vocabulary:,} tokens")
    if after.timestamps and after.no_timestamps + 1 >= vocabulary:
        raise Refused("bad_manifest", "the model has no tokens of times behind no_timestamps: set timestamps to false")


def _rehearse(ears: Ears, before: Speech, after: Transcription) -> dict[str, Any]:
    """A text of tones twice, and its last token without caches. Raises Refused."""
    time = np.arange(round(before.seconds * log_mel.SAMPLE_RATE)) / log_mel.SAMPLE_RATE
    tones = np.asarray(0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time), np.float32)
    features = log_mel.features(tones, before.mels, before.seconds)
    task = [after.transcribe] if after.transcribe is not None else []
    prompt = [after.start, *list(after.languages.values())[:1], *task]
    count = min(TOKENS, after.context - len(prompt))
    rules = Rules(after, ears.vocabulary)
    try:
        tokens, logits = _generate(ears, features, prompt, count, rules)
        again, _ = _generate(ears, features, prompt, count, rules)
        ears.hear(features)
        whole = ears.extend([*prompt, *tokens[:-1]])
    except OutOfMemory:
        raise
    except AmaasError as error:
        raise Refused("generation_failed", f"the model makes no text of a first sound: {error}") from error
    if tokens != again:
        raise Refused("not_reproducible", "the model gives another text each time, without any chance in it")
    difference = float(np.abs(whole - logits).max() / np.abs(whole).max())
    differs = int(whole.argmax()) != int(logits.argmax())
    if difference > FAR or (difference > decoders.CLOSE and differs):
        raise Refused(
            "cache_mismatch",
            f"with its caches, the model answers otherwise than without ({difference:.0%} of the largest logit): they "
            "are not connected as their names say; export it again",
        )
    return {"rehearsed": count, "difference": round(difference, 6)}


def _generate(
    ears: Ears, features: np.ndarray, prompt: list[int], count: int, rules: Rules
) -> tuple[list[int], np.ndarray]:
    """The likeliest tokens of a window by the rules, and the logits of the last one."""
    ears.hear(features)
    logits = ears.extend(prompt)
    tokens: list[int] = []
    while True:
        tokens.append(int(rules.apply(logits, tokens).argmax()))
        if len(tokens) == count:
            return tokens, logits
        logits = ears.extend(tokens[-1:])
