"""Tokenizers: what a stranger's does is bounded as a model is, and the library's own tokens come out on both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shared import deadline
from shared.errors import BadInput, TooLarge
from shared.runtime import confined, tokens
from shared.runtime.confined import Confined
from shared.runtime.runners import Crashed, TimedOut
from shared.runtime.signature import Session, Unloadable
from shared.runtime.zygotes import Cutting
from tests.serving import packages

MEMORY = 512 << 20
PLAIN: dict[str, Any] = dict.fromkeys(
    ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
) | {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "[PAD]": 1, "a": 2}, "unk_token": "[UNK]"},
}
# backtracks for the cube of what it is given
BACKTRACKING = {"type": "Split", "pattern": {"Regex": "a*a*a*b"}, "behavior": "Isolated", "invert": False}
# ten thousand characters for one
MULTIPLYING = {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 10_000}


def confine(raw: bytes, cutting: Cutting) -> Confined:
    return confined.load_tokenizer(raw, cutting, memory=MEMORY, filtered=True)


KINDS: dict[str, Callable[[bytes, Cutting], Session]] = {"direct": tokens.load, "confined": confine}


def file(**parts: Any) -> bytes:
    return json.dumps(PLAIN | parts).encode()


def feeds(*items: str | tuple[str, str]) -> dict[str, np.ndarray]:
    flat = [text for item in items for text in ((item,) if isinstance(item, str) else item)]
    return {"texts": np.array(flat, np.object_), "paired": np.array([isinstance(item, tuple) for item in items])}


@pytest.mark.parametrize("load", KINDS.values(), ids=KINDS)
def test_tokens_are_those_of_the_library(load: Callable[[bytes, Cutting], Session]) -> None:
    library = packages.tokenizer()
    session = load(library.to_str().encode(), Cutting(6))
    library.enable_truncation(6)
    library.enable_padding(pad_id=0, pad_token="[PAD]")
    items = ["The cat sat on a mat", "anna", ("the cat", "bob sat"), "", "naïve ☃ \U0001f600"]
    expected = library.encode_batch(items)
    of_library = {
        "ids": [e.ids for e in expected],
        "mask": [e.attention_mask for e in expected],
        "types": [e.type_ids for e in expected],
        "special": [e.special_tokens_mask for e in expected],
        "offsets": [[list(place) for place in e.offsets] for e in expected],
    }
    answer = dict(zip(tokens.MEMBERS, session.run(None, feeds(*items)), strict=True))
    assert {name: array.tolist() for name, array in answer.items()} == of_library
    assert {array.dtype for array in answer.values()} == {np.dtype(np.int64)}
    [mask, ids] = session.run(["mask", "ids"], feeds("anna"))
    assert (mask.tolist(), ids.tolist()) == ([[1] * 3], [library.encode("anna").ids[:3]])


@pytest.mark.parametrize("load", KINDS.values(), ids=KINDS)
def test_what_is_refused(load: Callable[[bytes, Cutting], Session]) -> None:
    with pytest.raises(Unloadable, match="no tokenizer"):
        load(b"{}", Cutting())
    with pytest.raises(TooLarge, match="16,386 tokens"):
        load(packages.tokenizer().to_str().encode(), Cutting()).run(None, feeds("the " * 16_384))
    panics = json.loads(packages.tokenizer().to_str())
    panics["post_processor"]["single"][0]["SpecialToken"]["id"] = "[START]"  # which it lacks
    session = load(json.dumps(panics).encode(), Cutting())
    for _ in range(2):
        with pytest.raises(BadInput, match="tokenizer cannot take this text"):
            session.run(None, feeds("the cat"))


def test_a_pattern_that_takes_all_time_ends_with_the_calls_deadline() -> None:
    deaths: list[str] = []
    session = confine(file(pre_tokenizer=BACKTRACKING), Cutting(8))
    session.on_death = deaths.append
    for _ in range(2):
        with deadline.within(0.3), pytest.raises(TimedOut, match="tokenizer was not ready"):
            session.run(["ids"], feeds("a" * 100_000 + " b"))
        assert session.run(["ids"], feeds("a"))[0].tolist() == [[2]]
    assert deaths == ["deadline"] * 2


def test_a_text_that_grows_beyond_the_memory_ends_the_runner_only() -> None:
    session = confine(file(normalizer=MULTIPLYING), Cutting(8))
    for _ in range(2):
        with pytest.raises(Crashed, match="tokenizer crashed"):
            session.run(["ids"], feeds("a" * 100_000))
        assert session.run(["ids"], feeds("c"))[0].tolist() == [[0]]


def test_a_tokenizer_has_the_filter() -> None:
    assert confine(file(), Cutting()).filtered
