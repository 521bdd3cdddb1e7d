"""The evidence of counts: valid under every hypothesis, by adding up all outcomes and by simulation; and it finds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from shared.release import evidence
from shared.release.evidence import Block, compare, log_mean_e

SIZES = [(1, 1), (1, 2), (2, 1)]  # calls of canary and stable version in three blocks: eight in all
RATES = (0.0, 0.0001, 0.01, 0.1, 0.3, 0.5, 0.8, 0.99, 1.0)
LOSSES = (0.01, 0.2)


def outcomes(sizes: list[tuple[int, int]]) -> list[list[Block]]:
    """All that blocks of these sizes can come to."""
    each = [[Block(c, x, s, y) for x in range(c + 1) for y in range(s + 1)] for c, s in sizes]
    return [list(blocks) for blocks in itertools.product(*each)]


def probability(blocks: list[Block], rates: list[tuple[float, float]]) -> float:
    """rates: of the canary and the stable version, by block."""
    product = 1.0
    for (n, x, m, y), (canary, stable) in zip(blocks, rates, strict=True):
        product *= math.comb(n, x) * canary**x * (1 - canary) ** (n - x)
        product *= math.comb(m, y) * stable**y * (1 - stable) ** (m - y)
    return product


@pytest.fixture(scope="module")
def compared() -> list[tuple[list[Block], evidence.Comparison]]:
    return [(blocks, compare(blocks, LOSSES)) for blocks in outcomes(SIZES)]


def test_not_worse_is_rarely_spoken_against(compared: list[tuple[list[Block], evidence.Comparison]]) -> None:
    """The expected value over all sequences of eight calls, with rates that differ from block to block."""
    fair = [(canary, stable) for canary, stable in itertools.product(RATES, RATES) if canary <= stable]
    for rates in itertools.product(fair[::3], fair[::4], fair[::5]):
        expected = sum(probability(blocks, list(rates)) * math.exp(one.log_e_worse) for blocks, one in compared)
        assert expected <= 1 + 1e-9, rates


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_rarely_spoken_against(compared: list[tuple[list[Block], evidence.Comparison]], loss: float) -> None:
    """The same; the canary is worse by the loss exactly, or by more."""
    worse = [(min(rate + loss + more, 1.0), rate) for rate in RATES for more in (0.0, 0.1, 0.5) if rate + loss <= 1]
    for rates in itertools.product(worse[::2], worse[::3], worse[::4]):
        expected = sum(probability(blocks, list(rates)) * math.exp(one.log_e_loss[loss]) for blocks, one in compared)
        assert expected <= 1 + 1e-9, rates


def test_the_expected_value_tells_a_wrong_closest_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: measured against the stable version's own rate, equal versions are spoken against."""

    def against_stable(block, canary, stable, likelihood):  # type: ignore[no-untyped-def]
        return np.where(canary > stable, likelihood - evidence.log_likelihood(block, stable, stable), 0.0)

    monkeypatch.setattr(evidence, "log_e_worse_of", against_stable)
    expected = max(
        sum(probability(b, [(rate, rate)]) * math.exp(compare(b, ()).log_e_worse) for b in outcomes([(2, 2)]))
        for rate in RATES
    )
    assert expected > 1.5


def test_the_closest_point_is_that_of_a_plain_search() -> None:
    block, loss = Block(3, 1, 17, 2), 0.05
    stable, canary, _ = evidence.pairs()
    inside = canary - stable < loss
    log_e = evidence.log_e_loss_of(
        block, canary, stable, evidence.log_likelihood(block, canary, stable), np.array([[loss]])
    )[0]
    edge = (1 - loss) / (1 + np.exp(-np.linspace(-18, 18, 200_001)))
    for n in np.flatnonzero(inside)[::37]:
        c, s = canary[n], stable[n]
        divergence = -block.canary * (c * np.log(edge + loss) + (1 - c) * np.log(1 - edge - loss)) - block.stable * (
            s * np.log(edge) + (1 - s) * np.log(1 - edge)
        )
        rate = edge[[divergence.argmin()]]
        plain = evidence.log_likelihood(block, canary[[n]], stable[[n]]) - evidence.log_likelihood(
            block, rate + loss, rate
        )
        assert log_e[n] == pytest.approx(plain[0], abs=1e-3)


# ---- what it finds


def blocks_of(seed: int, canary: float, stable: float, count: int, sizes: tuple[int, int] = (5, 45)) -> list[Block]:
    random = np.random.default_rng(seed)
    n, m = sizes
    return [Block(n, int(random.binomial(n, canary)), m, int(random.binomial(m, stable))) for _ in range(count)]


def test_a_version_that_fails_is_found_in_its_first_block() -> None:
    assert compare([Block(5, 5, 45, 0)]).log_e_worse > math.log(100)
    assert compare([Block(3, 3, 27, 0)]).log_e_worse > math.log(100)


def test_one_error_among_few_calls_is_none() -> None:
    """The usual complaint: "one transient 5xx is a huge percentage"."""
    assert compare([Block(2, 1, 18, 0)]).log_e_worse < math.log(20)


def test_a_version_that_fails_after_a_good_day_is_found() -> None:
    good = blocks_of(1, 0.01, 0.01, 300)
    assert compare(good, ()).log_e_worse > -3  # little is lost while nothing differs
    assert compare(good + [Block(5, 5, 45, 0)] * 3, ()).log_e_worse > math.log(100)


def test_an_outage_that_both_share_is_no_evidence() -> None:
    random = np.random.default_rng(2)
    blocks = [
        Block(5, int(random.binomial(5, rate)), 45, int(random.binomial(45, rate)))
        for rate in [0.01] * 20 + [1.0] * 5 + [0.5] * 10 + [0.01] * 20
    ]
    assert compare(blocks, ()).log_e_worse < math.log(100)


def test_better_versions_are_no_evidence() -> None:
    assert compare(blocks_of(3, 0.001, 0.05, 200), ()).log_e_worse < 0.5


def test_a_loss_is_excluded_after_enough_calls_of_an_equal_version() -> None:
    equal = Block(100, 1, 900, 9)
    assert [compare([equal] * count).loss_bound(0.01) for count in (1, 3, 10, 20, 100)] == [
        0.1,
        0.05,
        0.02,
        0.01,
        0.005,
    ]
    assert compare([Block(100, 0, 900, 0)] * 10).loss_bound(0.01) == 0.01
    assert compare([Block(5, 0, 45, 0)]).loss_bound(0.01) is None
    assert compare([Block(100, 6, 900, 9)] * 20).loss_bound(0.01) == 0.1  # 5 % worse


# ---- arithmetic


def test_nothing_and_one_sided_blocks_say_nothing() -> None:
    assert compare([]) == evidence.Comparison(Block(), 0.0, dict.fromkeys(evidence.LOSSES, 0.0))
    assert compare([Block()] * 3).log_e_worse == pytest.approx(0, abs=1e-12)
    assert compare([Block(7, 7, 0, 0), Block(0, 0, 9, 0)]).log_e_worse == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("bad", [(0, 0), (10**5, 9 * 10**5), (10**7, 0), (0, 9 * 10**7), (10**7, 9 * 10**7)])
def test_large_counts(bad: tuple[int, int]) -> None:
    one = compare([Block(10**7, bad[0], 9 * 10**7, bad[1]), Block(1, 0, 1, 0)])
    assert all(math.isfinite(value) for value in (one.log_e_worse, *one.log_e_loss.values()))
    assert (one.log_e_worse > 1000) == (bad == (10**7, 0))


def test_calls_are_added_up() -> None:
    assert compare([Block(1, 0, 9, 2), Block(2, 1, 8, 3)], ()).calls == Block(3, 1, 17, 5)


def test_the_same_blocks_give_the_same_bits() -> None:
    blocks = blocks_of(6, 0.02, 0.01, 30)
    assert compare(blocks) == compare(list(blocks))


@pytest.mark.parametrize("block", [Block(1, 2, 0, 0), Block(0, 0, 1, -1), Block(-1, 0, 0, 0)])
def test_impossible_counts(block: Block) -> None:
    with pytest.raises(ValueError, match="no counts"):
        compare([block])


def test_several_metrics_share_alpha_by_their_mean() -> None:
    logs = [math.log(300), math.log(0.01), math.log(0.5)]
    assert math.exp(log_mean_e(logs)) == pytest.approx(300.51 / 3)
    assert log_mean_e([5000.0, -5000.0]) == pytest.approx(5000 - math.log(2))
