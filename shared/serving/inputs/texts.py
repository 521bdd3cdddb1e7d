"""Texts → token ids, by the package's own tokenizer; or the texts themselves for models that take them.

It is Hugging Face's library on the package's tokenizer.json: what it cuts, pads and adds is what training saw.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.errors import AmaasError, BadInput, TooLarge, Unavailable
from shared.package import processing
from shared.package.manifest import Tensor
from shared.runtime.arrays import DTYPES
from shared.serving.loaded import Loaded

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# a text, or two of them that the model is to compare
Item = str | tuple[str, str]
MAX_CHARACTERS = 1_000_000  # of one text
MAX_TOKENS = 16_384  # of a text that neither the package nor its tokenizer cuts
PADS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")


def items(values: list[Any]) -> list[Item]:
    """Texts as they are sent: a string, or {"text": …, "pair": …}. Raises BadInput."""
    return [_item(value, number) for number, value in enumerate(values)]


def _item(value: Any, number: int) -> Item:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("text"), str) and set(value) <= {"text", "pair"}:
        pair = value.get("pair")
        if pair is None:
            return str(value["text"])
        if isinstance(pair, str):
            return value["text"], pair
    raise BadInput(f'input {number} is no text: send a string, or {{"text": "…", "pair": "…"}}')


def encode(loaded: Loaded, texts: list[Item]) -> list[Encoding]:
    """The tokens of texts, cut and padded as the plan says, all of one length."""
    plan, tokenizer = plan_of(loaded), load_tokenizer(loaded)
    characters = max(len(text) if isinstance(text, str) else len(text[0]) + len(text[1]) for text in texts)
    if characters > MAX_CHARACTERS:
        raise TooLarge(f"the text has {characters:,} characters, more than {MAX_CHARACTERS:,}; send a part of it")
    prefixed = [plan.prefix + text if isinstance(text, str) else (plan.prefix + text[0], text[1]) for text in texts]
    with _translate_errors(BadInput, "the model's tokenizer cannot take this text"):
        encodings: list[Encoding] = tokenizer.encode_batch(prefixed)
    longest = max(len(encoding.ids) for encoding in encodings)
    if longest > MAX_TOKENS and not tokenizer.truncation:
        raise TooLarge(f"the text has {longest:,} tokens, more than {MAX_TOKENS:,}; send a part of it")
    return encodings


@contextmanager
def _translate_errors(kind: type[AmaasError], what: str) -> Iterator[None]:
    """The library's errors as one of ours. It raises Exception itself; what Rust panics with is not even that."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise kind(f"{what}: {str(error)[:200]}") from error


def load_tokenizer(loaded: Loaded) -> Tokenizer:
    """The package's tokenizer, set to cut and pad. Raises BadInput where there is none, Unavailable for a bad one."""
    plan = plan_of(loaded)
    if plan.tokenizer is None:
        raise BadInput(f"model {loaded.name!r} has no tokenizer")
    return loaded.part(plan.tokenizer, lambda raw: parse_tokenizer(raw, plan, _ids_input(loaded, plan)))


def plan_of(loaded: Loaded) -> processing.Text:
    plan = loaded.manifest.preprocess
    return plan if isinstance(plan, processing.Text) else processing.Text()


def feeds(loaded: Loaded, texts: list[Item]) -> tuple[dict[str, np.ndarray], list[Encoding] | None]:
    """The model's inputs for texts, of shape [N, tokens] each, and the tokens; None for a model that takes strings."""
    plan = plan_of(loaded)
    if plan.tokenizer is None:
        return _to_strings(loaded, texts, plan), None
    encodings = encode(loaded, texts)
    return {tensor.name: _to_ids(tensor, plan, encodings) for tensor in loaded.manifest.inputs}, encodings


def _to_strings(loaded: Loaded, texts: list[Item], plan: processing.Text) -> dict[str, np.ndarray]:
    inputs = loaded.manifest.inputs
    if len(inputs) != 1 or inputs[0].datatype != "BYTES" or not 1 <= len(inputs[0].shape) <= 2:
        raise BadInput(
            f"model {loaded.name!r} takes tokens, but its package names no tokenizer: add tokenizer.json and "
            f'"preprocess": {{"tokenizer": "tokenizer.json"}}, or POST tensors to /v2/models/{loaded.name}/infer'
        )
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"model {loaded.name!r} takes one text at a time, no pairs")
    values = np.array([plan.prefix + str(text) for text in texts], np.object_)
    return {inputs[0].name: values if len(inputs[0].shape) == 1 else values[:, None]}


def _to_ids(tensor: Tensor, plan: processing.Text, encodings: list[Encoding]) -> np.ndarray:
    values = {
        plan.ids: [encoding.ids for encoding in encodings],
        plan.mask: [encoding.attention_mask for encoding in encodings],
        plan.types: [encoding.type_ids for encoding in encodings],
        "position_ids": [list(range(len(encoding.ids))) for encoding in encodings],
    }
    if tensor.name not in values:
        raise BadInput(f"the model's input {tensor.name!r} is none that a tokenizer gives: {sorted(values)}")
    return np.array(values[tensor.name], DTYPES[tensor.datatype])


def _ids_input(loaded: Loaded, plan: processing.Text) -> Tensor | None:
    return next((tensor for tensor in loaded.manifest.inputs if tensor.name == plan.ids), None)


def parse_tokenizer(raw: bytes, plan: processing.Text, ids: Tensor | None) -> Tokenizer:
    """A tokenizer from its JSON, set to cut and pad. ids: the model's input, whose length may be fixed.

    Raises Unavailable when the file is no tokenizer.
    """
    # threads of its own would compete with the model's, on the one CPU of a function
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    fixed = ids.shape[1] if ids and len(ids.shape) == 2 and ids.shape[1] > 0 else None
    with _translate_errors(Unavailable, "the package's tokenizer cannot be read; push the package again"):
        parsed = Tokenizer.from_buffer(raw)
        longest = plan.max_length or fixed or (parsed.truncation or {}).get("max_length")
        if longest:
            parsed.enable_truncation(longest)
        whole = fixed or (longest if plan.padding == "max_length" else None)
        parsed.enable_padding(length=whole, **_padding(parsed))
    return parsed


def _padding(tokenizer: Tokenizer) -> dict[str, Any]:
    declared = tokenizer.padding or {}
    if declared:
        return {name: declared[name] for name in ("pad_id", "pad_type_id", "pad_token", "direction")}
    token = next((token for token in PADS if tokenizer.token_to_id(token) is not None), None)
    return {"pad_token": token, "pad_id": tokenizer.token_to_id(token)} if token else {}
