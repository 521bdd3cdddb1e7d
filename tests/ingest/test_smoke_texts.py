"""Tokenizers that refuse most texts that are made up, as they cut one of a pair alone: they still answer some."""

from __future__ import annotations

import pytest

from tests.ingest.conftest import Smoke
from tests.ingest.smoke_packages import TOKENS, tokenizer_file
from tests.serving.packages import lookup, overlap, tokenizer


def cutting(strategy: str, longest: int = 8) -> dict[str, bytes]:
    made = tokenizer()
    made.enable_truncation(longest, strategy=strategy)
    made.enable_padding(pad_id=0)
    return tokenizer_file(made.to_str().encode())


@pytest.mark.parametrize("strategy", ["only_first", "only_second", "longest_first"])
def test_a_model_of_short_texts_answers_whatever_its_tokenizer_cuts(smoke: Smoke, strategy: str) -> None:
    for model, members in (
        (lookup(4), {"task": "embedding"}),
        (overlap([-1.0, 1.0]), {"task": "text-classification", "labels": ["no", "yes"]}),
    ):
        verdict = smoke(model, files=cutting(strategy), **members, **TOKENS)
        assert (verdict.accepted, verdict.probe) == (True, "ran"), verdict.reason


def test_texts_that_are_made_up_are_short_enough_for_any(smoke: Smoke) -> None:
    """A sentence and the vocabulary are too long for this one, and cannot be cut without a second text."""
    verdict = smoke(lookup(4), files=cutting("only_second", longest=5), task="embedding", **TOKENS)
    assert (verdict.accepted, verdict.probe) == (True, "ran"), verdict.reason
