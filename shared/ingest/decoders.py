"""The checks of a package that generates text, in the confined process.

Graph → tokenizer → template → load → rehearsal → golden set. The rehearsal generates a text twice with caches, and once
without: what answers differently each time, or forgets, is not fit to serve. What runs is what serves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import onnx as onnx_package

from shared.errors import AmaasError, BadInput
from shared.ingest import decoder_graph, descriptors, golden_tokens
from shared.ingest.decoder_graph import DecoderGraph
from shared.ingest.verdict import Limits, Refused, Verdict
from shared.package.generation import Generation, Prompt
from shared.package.manifest import Golden, GoldenCase, Manifest
from shared.runtime import language, onnx, processor, reading
from shared.runtime.signature import OutOfMemory, Unloadable
from shared.runtime.zygotes import Decoding
from shared.serving.forms import WEIGHTS
from shared.serving.generation.reader import SessionReader, Texts

MESSAGES = [{"role": "user", "content": "Hello! Count from one to five."}]
TEXT = "Hello! Count from one to five: one, two,"
WHY_NOT = "of a model that generates text, the graph is served as its exporter has fused it"
TOKENS = 16  # of the rehearsal
CLOSE = 0.02  # of the largest logit: by so much may a step with caches differ from one without
MOST_CASES = 200  # of a golden set
# what a caller sees: text comes, text goes
INPUTS = [{"name": "text_input", "datatype": "BYTES", "shape": [1]}]
OUTPUTS = [{"name": "text_output", "datatype": "BYTES", "shape": [1]}]


def versions() -> dict[str, Any]:
    """As checks.versions."""
    here = {"kind": processor.kind(), "features": processor.features()}
    return {"onnxruntime": onnx.VERSION, "onnx": onnx_package.__version__, "processor": here}


def prepare() -> None:
    """Before the sandbox closes: import, and use once, what would open files later."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads are over, too
    language.warm_up()


def check(files: Mapping[str, int], spill: int, manifest: Manifest, limits: Limits) -> Verdict:
    """The verdict on a package. Raises Refused, OutOfMemory.

    files: of the package, as open descriptors. spill: an empty file for weights; see decoder_graph.prepare.
    """
    before, after = manifest.preprocess, manifest.postprocess or Generation()
    assert isinstance(before, Prompt) and isinstance(after, Generation), "what has no tokenizer is served as tensors"
    graph = decoder_graph.prepare(files, spill, after.window, limits)
    decoder_graph.require_own_files(graph.files, (before.tokenizer, before.template))
    texts = open_texts(descriptors.read(files[before.tokenizer]))
    template = _template(files, before)
    prompt = _read_prompt(texts, template, before)
    context = min((size for size in (after.context, graph.context) if size is not None), default=None)
    session = _load(graph, {**files, WEIGHTS: spill}, after, context)
    reader = SessionReader(session)
    _check_vocabulary(texts, after, reader.vocabulary)
    rehearsal = _rehearse(reader, prompt)
    golden = _replay(reader, texts, template, before, manifest.golden)
    grammars = _try_grammar(texts, reader.vocabulary, after.ends)
    return Verdict(
        accepted=True,
        code="accepted",
        reason="the model passed every check",
        inputs=INPUTS,
        outputs=OUTPUTS,
        **graph.facts,
        optimized=graph.body if graph.changes else None,
        optimization={"level": "extended", "kept": False, "why": WHY_NOT, "normalized": graph.changes},
        golden=golden,
        probe="ran",
        weights=graph.files,
        generation={"vocabulary": reader.vocabulary, "context": context, "grammars": grammars, **rehearsal},
    )


def open_texts(raw: bytes) -> Texts:
    try:
        return Texts(language.load(raw))
    except Unloadable as error:
        reason = f"the tokenizer cannot be read: {error}; save it with the library again (tokenizer.json)"
        raise Refused("bad_tokenizer", reason) from error


def _template(files: Mapping[str, int], before: Prompt) -> str | None:
    if before.template is None:
        return None
    try:
        return descriptors.read(files[before.template]).decode()
    except UnicodeDecodeError as error:
        raise Refused("bad_template", f"{before.template} is not UTF-8: {error}; save it as such") from error


def _read_prompt(texts: Texts, template: str | None, before: Prompt) -> list[int]:
    """Of a first message, by the template where there is one. Raises Refused."""
    try:
        tokens = texts.chat(template, MESSAGES, dict(before.special)) if template else texts.encode(TEXT, whole=True)
    except BadInput as error:
        code, name = ("bad_template", before.template) if template else ("bad_tokenizer", before.tokenizer)
        raise Refused(code, f"{name} makes no tokens of a first message: {error}") from error
    if not tokens:
        raise Refused("bad_tokenizer", f"{before.tokenizer} makes no tokens of a text; save it with the library again")
    return tokens


def _load(graph: DecoderGraph, files: Mapping[str, int], after: Generation, context: int | None) -> reading.Reading:
    data = {name: descriptors.mapped(files[name]) for name in graph.files}
    decoding = Decoding(graph.files, after.heads, after.width, context)
    try:
        with descriptors.letting_go(data.values()):
            return reading.load(graph.body, data, decoding)
    except Unloadable as error:
        raise Refused("invalid_graph", f"{error}; export the model again, as a decoder with caches") from error


def _check_vocabulary(texts: Texts, after: Generation, vocabulary: int) -> None:
    """Raises Refused for a tokenizer, or for ends, of another model."""
    size = texts.size()
    if size > vocabulary:
        raise Refused(
            "bad_tokenizer",
            f"the tokenizer has {size:,} tokens and the model {vocabulary:,}: they do not belong together, or tokens "
            "were added that the model was not resized for",
        )
    beyond = [token for token in after.ends if token >= vocabulary]
    if beyond:
        raise Refused("bad_manifest", f"postprocess.ends has {beyond[0]:,}, and the model {vocabulary:,} tokens")


def _rehearse(reader: SessionReader, prompt: list[int]) -> dict[str, Any]:
    """A text twice from the beginning, and its last token without caches. Raises Refused."""
    count = TOKENS if reader.limit is None else min(TOKENS, reader.limit - len(prompt))
    if count < 1:
        reason = (
            f"a first message has {len(prompt):,} tokens, more than the context of {reader.limit:,}; see config.json"
        )
        raise Refused("bad_manifest", reason)
    tokens, logits = _generate(reader, prompt, count)
    again, _ = _generate(reader, prompt, count)
    if tokens != again:
        raise Refused(
            "not_reproducible", "the model gives another text each time, without any chance in it; export it again"
        )
    reader.rewind(0)
    whole = _extend(reader, [*prompt, *tokens[:-1]])
    difference = float(np.abs(whole - logits).max() / np.abs(whole).max())
    if difference > CLOSE and int(whole.argmax()) != int(logits.argmax()):
        raise Refused(
            "cache_mismatch",
            f"with its caches, the model answers otherwise than without ({difference:.0%} of the largest logit): they "
            "are not connected as their names say, or config.json is of another model; export it again",
        )
    return {"rehearsed": count, "difference": round(difference, 6)}


def _generate(reader: SessionReader, prompt: list[int], count: int) -> tuple[list[int], np.ndarray]:
    """The likeliest tokens behind the prompt, and the logits of the last one."""
    reader.rewind(0)
    logits, tokens = _extend(reader, prompt), []
    while True:
        tokens.append(int(logits.argmax()))
        if len(tokens) == count:
            return tokens, logits
        logits = _extend(reader, tokens[-1:])


def _extend(reader: SessionReader, tokens: list[int]) -> np.ndarray:
    try:
        return reader.extend(tokens)
    except OutOfMemory:
        raise
    except AmaasError as error:
        raise Refused("generation_failed", f"the model cannot go on behind a first message: {error}") from error


def _replay(
    reader: SessionReader, texts: Texts, template: str | None, before: Prompt, golden: Golden | None
) -> dict[str, Any] | None:
    """Of each token of the golden set, whether it is the likeliest one. None without one. Raises Refused."""
    if golden is None:
        return None
    if golden.file is not None or not golden.cases:
        raise Refused("golden_invalid", "the golden set of a model that generates text is in amaas.json, as cases")
    agreed = total = 0
    for number, case in enumerate(golden.cases[:MOST_CASES]):
        prompt, expected = _tokens_of(case, number, texts, template, before)
        total += len(expected)
        golden_tokens.require_few(total)
        reader.rewind(0)
        logits = _extend(reader, prompt)
        for place, token in enumerate(expected):
            agreed += int(logits.argmax()) == token
            if place + 1 < len(expected):
                logits = _extend(reader, [token])
    return golden_tokens.judge(golden, total, agreed)


def _tokens_of(
    case: GoldenCase, number: int, texts: Texts, template: str | None, before: Prompt
) -> tuple[list[int], list[int]]:
    """Of one case: the prompt's tokens, and those that follow. Raises Refused."""
    forms: dict[str, Callable[[Any], list[int]]] = {
        "tokens": lambda tokens: msgspec.convert(tokens, list[int]),
        "text": lambda text: texts.encode(str(text), whole=True),
        "messages": lambda messages: texts.chat(template or "", messages, dict(before.special)),
    }
    [kind] = list(case.inputs) if len(case.inputs) == 1 else [""]
    try:
        prompt = forms[kind](case.inputs[kind])
        expected = msgspec.convert(case.outputs.get("tokens"), list[int])
    except (KeyError, BadInput, msgspec.ValidationError) as error:
        reason = f"case {number} of the golden set must have inputs {{tokens}}, {{text}} or {{messages}}, and outputs"
        raise Refused("golden_invalid", f"{reason} {{tokens}}, as lists of numbers: {error}") from error
    if not prompt or not expected:
        raise Refused("golden_invalid", f"case {number} of the golden set has no tokens on one of its sides")
    return prompt, expected


def _try_grammar(texts: Texts, vocabulary: int, ends: list[int]) -> bool:
    """Whether texts can be held to a grammar: not with every kind of tokenizer."""
    grammar = {"kind": "json", "text": '{"type": "object"}', "vocabulary": vocabulary, "ends": ends}
    try:
        return bool(texts.mask(msgspec.json.encode(grammar).decode(), []).any())
    except BadInput:
        return False
