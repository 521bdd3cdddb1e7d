"""The next token: what each option does, beside arithmetic that is written down here."""

from __future__ import annotations

import math
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.serving.generation.sampling import Sampler, Sampling

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.0625, 0.0625], np.float32))


def drawn(options: Sampling, count: int = 2000, logits: np.ndarray = LOGITS) -> Counter[int]:
    """Shares of tokens, each drawn as the first one of a sequence."""
    return Counter(Sampler(msgspec.structs.replace(options, seed=seed)).choose(logits).token for seed in range(count))


def test_temperature_0_is_the_likeliest_and_of_equal_ones_the_first() -> None:
    assert Sampler(Sampling(temperature=0)).choose(LOGITS).token == 0
    assert Sampler(Sampling(temperature=0)).choose(np.zeros(5, np.float32)).token == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Sampling(), [0.5, 0.25, 0.125, 0.0625, 0.0625]),
        (Sampling(temperature=0.5), [0.727, 0.182, 0.045, 0.011, 0.011]),  # squares, which add up to 0.344
        (Sampling(top_k=2), [2 / 3, 1 / 3, 0, 0, 0]),
        (Sampling(top_p=0.75), [2 / 3, 1 / 3, 0, 0, 0]),
        (Sampling(top_p=0.76), [4 / 7, 2 / 7, 1 / 7, 0, 0]),  # the one that crosses the share belongs to it
        (Sampling(top_p=0.01), [1, 0, 0, 0, 0]),
        (Sampling(min_p=0.25), [4 / 7, 2 / 7, 1 / 7, 0, 0]),
        (Sampling(top_k=3, min_p=0.5), [2 / 3, 1 / 3, 0, 0, 0]),
    ],
)
def test_shares_are_as_they_are_asked_for(options: Sampling, expected: list[float]) -> None:
    counts = drawn(options)
    for token, share in enumerate(expected):
        spread = 4 * math.sqrt(share * (1 - share) / 2000)
        assert abs(counts[token] / 2000 - share) <= spread + 0.002, (token, counts)


def test_a_seed_gives_the_same_tokens_again_and_none_gives_others() -> None:
    flat = np.zeros(1000, np.float32)

    def tokens(seed: int | None) -> list[int]:
        sampler = Sampler(Sampling(seed=seed))
        return [sampler.choose(flat).token for _ in range(8)]

    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)
    assert tokens(-1) == tokens(-1)
    assert tokens(None) != tokens(None)


def test_penalties_are_of_what_was_said() -> None:
    greedy = Sampling(temperature=0)
    flat = np.array([1.0, 0.9, 0.8, -1.0], np.float32)

    def said(options: Sampling, prompt: list[int], count: int = 4) -> list[int]:
        sampler = Sampler(options, prompt)
        return [sampler.choose(flat).token for _ in range(count)]

    assert said(greedy, []) == [0, 0, 0, 0]
    assert said(msgspec.structs.replace(greedy, presence_penalty=0.15), []) == [0, 1, 0, 0], "once for each token"
    assert said(msgspec.structs.replace(greedy, frequency_penalty=0.15), []) == [0, 1, 0, 2], "for each time"
    assert said(msgspec.structs.replace(greedy, presence_penalty=1.0), [0]) == [0, 1, 2, 0], "not of the prompt"
    assert said(msgspec.structs.replace(greedy, repetition_penalty=1.2), [0])[0] == 1, "of the prompt, too"
    below = np.array([-1.0, -1.1], np.float32)
    assert Sampler(msgspec.structs.replace(greedy, repetition_penalty=1.2), [0]).choose(below).token == 1
    assert flat.tolist() == [1.0, np.float32(0.9), np.float32(0.8), -1.0], "logits are left as they are"


def test_log_probabilities_are_the_models_own() -> None:
    options = Sampling(temperature=0, logprobs=2, presence_penalty=2.0)
    sampler = Sampler(options)
    first, second = sampler.choose(LOGITS), sampler.choose(LOGITS)
    assert (first.token, second.token) == (0, 1)
    assert first.logprob == pytest.approx(math.log(0.5))
    assert second.logprob == pytest.approx(math.log(0.25)), "of the model, whatever was asked for"
    assert [token for token, _ in second.likely] == [0, 1]
    assert second.likely[0][1] == pytest.approx(math.log(0.5))
    assert Sampler(Sampling(logprobs=20)).choose(LOGITS).likely[-1][1] == pytest.approx(math.log(0.0625))
    assert Sampler(Sampling(logprobs=0)).choose(LOGITS).likely == ()
    assert Sampler(Sampling()).choose(LOGITS).logprob is None


def test_only_what_is_allowed_is_chosen() -> None:
    allowed = np.array([False, False, True, False, True])
    assert Sampler(Sampling(temperature=0)).choose(LOGITS, allowed).token == 2
    assert {Sampler(Sampling(seed=seed)).choose(LOGITS, allowed).token for seed in range(50)} == {2, 4}
    only = np.array([False, False, False, True, False])
    far = np.array([100.0, 0, 0, -100.0, 0], np.float32)
    assert Sampler(Sampling()).choose(far, only).token == 3


@settings(max_examples=300)
@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=40),
    temperature=st.floats(0, 2),
    top_k=st.integers(0, 50),
    top_p=st.floats(0.001, 1),
    min_p=st.floats(0, 1),
    seed=st.integers(-(2**63), 2**63 - 1),
    logprobs=st.none() | st.integers(0, 20),
)
def test_whatever_is_asked_for_a_token_comes(logits: list[float], logprobs: int | None, **options: float) -> None:
    asked = msgspec.convert({**options, "logprobs": logprobs}, Sampling)
    choice = Sampler(asked, [0]).choose(np.array(logits, np.float32))
    assert 0 <= choice.token < len(logits)
    assert (choice.logprob is None) == (logprobs is None)
    assert len(choice.likely) == min(logprobs or 0, len(logits))


@pytest.mark.parametrize(
    "bad", [{"temperature": -0.1}, {"temperature": 2.1}, {"top_p": 0}, {"top_p": 1.1}, {"min_p": -1}, {"logprobs": 21}]
)
def test_what_means_nothing_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Sampling)
