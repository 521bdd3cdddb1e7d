"""Texts → token ids, by the package's own tokenizer; or the texts themselves for models that take them.

It is Hugging Face's library on the package's tokenizer.json: what it cuts, pads and adds is what training saw. A
stranger's tokenizer runs behind the wall, as the model does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import UNSET

from shared.errors import BadInput, TooLarge, Unavailable
from shared.package import processing
from shared.package.manifest import Tensor
from shared.runtime.signature import Session, Unloadable
from shared.runtime.zygotes import Cutting
from shared.serving.loaded import Loaded
from shared.serving.wall import counting_deaths, watch
from shared.values import numbers
from shared.values.place import in_input

# a text, or two of them that the model is to compare
Item = str | tuple[str, str]
Tokens = Mapping[str, np.ndarray]
MAX_CHARACTERS = 1_000_000  # of one text
CHARACTER = 12  # bytes of one: in any alphabet, with a prefix, and on its way to the tokenizer
POSITIONS = "position_ids"


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


def encode(loaded: Loaded, texts: list[Item], names: Sequence[str]) -> Tokens:
    """What is named of the tokens of texts, cut and padded as the plan says: [N, tokens] each; see tokens.MEMBERS."""
    plan, tokenizer = plan_of(loaded), load_tokenizer(loaded)
    characters = max(len(text) if isinstance(text, str) else len(text[0]) + len(text[1]) for text in texts)
    if characters > MAX_CHARACTERS:
        raise TooLarge(f"the text has {characters:,} characters, more than {MAX_CHARACTERS:,}; send a part of it")
    prefixed = [(plan.prefix + text,) if isinstance(text, str) else (plan.prefix + text[0], text[1]) for text in texts]
    flat = np.array([part for parts in prefixed for part in parts], np.object_)
    arrays = tokenizer.run(list(names), {"texts": flat, "paired": np.array([len(parts) == 2 for parts in prefixed])})
    shape = (len(texts), arrays[0].shape[1] if arrays[0].ndim > 1 else 0)
    if any(
        array.shape[:2] != shape or array.shape[2:] != ((2,) if name == "offsets" else ())
        for name, array in zip(names, arrays, strict=True)
    ):
        raise Unavailable("the model's tokenizer does not answer with one row of tokens for each text; push it again")
    return dict(zip(names, arrays, strict=True))


def load_tokenizer(loaded: Loaded) -> Session:
    """The package's tokenizer, set to cut and pad. Raises BadInput where there is none, Unavailable for a bad one."""
    plan = plan_of(loaded)
    if plan.tokenizer is None:
        raise BadInput(f"model {loaded.name!r} has no tokenizer")
    how = cutting(plan, next((tensor for tensor in loaded.manifest.inputs if tensor.name == plan.ids), None))
    return loaded.part(plan.tokenizer, lambda raw: _open(loaded, raw, how))


def cutting(plan: processing.Text, ids: Tensor | None) -> Cutting:
    """How the plan cuts and pads. ids: the model's input of token ids, whose length may be fixed."""
    fixed = ids.shape[1] if ids and len(ids.shape) == 2 and ids.shape[1] > 0 else None
    return Cutting(plan.max_length, fixed, None if plan.padding is UNSET else plan.padding == "max_length")


def _open(loaded: Loaded, raw: bytes, how: Cutting) -> Session:
    try:
        with counting_deaths(loaded.name, loaded.version.version):
            session = loaded.open_tokenizer(loaded.version, raw, how)
    except Unloadable as error:
        message = f"the package's tokenizer cannot be read; push the package again: {error}"
        raise Unavailable(message) from error
    watch(session, loaded.name, loaded.version.version)
    return session


def plan_of(loaded: Loaded) -> processing.Text:
    plan = loaded.manifest.preprocess
    return plan if isinstance(plan, processing.Text) else processing.Text()


def feeds(loaded: Loaded, texts: list[Item], also: Sequence[str] = ()) -> tuple[dict[str, np.ndarray], Tokens | None]:
    """The model's inputs for texts, of shape [N, tokens] each, and the tokens; None for a model that takes strings.

    also: what is asked for of the tokens beside the inputs.
    """
    plan = plan_of(loaded)
    if plan.tokenizer is None:
        return _to_strings(loaded, texts, plan), None
    members = {plan.ids: "ids", plan.mask: "mask", plan.types: "types", POSITIONS: "ids"}
    for tensor in loaded.manifest.inputs:
        if tensor.name not in members:
            raise BadInput(f"the model's input {tensor.name!r} is none that a tokenizer gives: {sorted(members)}")
    needed = [members[tensor.name] for tensor in loaded.manifest.inputs]
    needed += ["mask"] if any(tensor.name == POSITIONS for tensor in loaded.manifest.inputs) else []
    tokens = encode(loaded, texts, list(dict.fromkeys([*needed, *also])))
    rows = {name: tokens[member] for name, member in members.items() if member in tokens}
    if POSITIONS in rows and "mask" in tokens:
        rows[POSITIONS] = _positions(tokens["mask"])
    return {tensor.name: _to_input(tensor, rows[tensor.name]) for tensor in loaded.manifest.inputs}, tokens


def _positions(mask: np.ndarray) -> np.ndarray:
    """Of each token in its text, which begins behind what it is padded with on the left."""
    before = mask.argmax(axis=1)[:, None]
    return np.asarray(np.maximum(np.arange(mask.shape[1]) - before, 0))


def _to_input(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(numbers.cast(values, tensor.datatype, in_input(tensor.name)))


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
