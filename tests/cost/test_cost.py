"""Prices, what counts cost by them, and where an instance is cheaper: computed by hand, and by their properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cost import cost
from shared.cost.cost import GIB, Amounts, Rates
from shared.cost.prices import REMEMBERED, Instance, Prices, parse
from shared.counts.counts import Counts
from shared.errors import Unavailable

PRICES = Prices(
    region="nowhere-1",
    date="2026-01-31",
    gb_second=0.00002,
    gb_second_arm64=0.00002,
    million_calls=1.0,
    million_gateway_calls=4.0,
    transfer_gb=0.1,
    storage_gb_month=0.03,
)
RATES = Rates(PRICES, 2048)
INSTANCE = Instance(name="box", hour=0.1, vcpus=2)


def test_the_parts_of_a_hand_computed_sum() -> None:
    counts = Counts(requests=2_000_000, billed_ms=10_000_000, cold_ms=500_000, bytes_out=3 * GIB)
    amounts = cost.of_calls(counts, RATES)
    assert amounts.compute == pytest.approx(10_000 * 2 * 0.00002)
    assert amounts.starts == pytest.approx(500 * 2 * 0.00002)
    assert (amounts.calls, amounts.gateway) == (pytest.approx(2.0), pytest.approx(8.0))
    assert amounts.transfer == pytest.approx(0.3)
    assert amounts.of_calls == amounts.total == pytest.approx(0.4 + 0.02 + 2 + 8 + 0.3)


def test_a_batch_jobs_calls_pass_no_gateway_and_are_no_invocations() -> None:
    counts = Counts(requests=100, routes={"batch": 60, "predict": 40}, billed_ms=1000)
    assert cost.over_http(counts) == 40
    amounts = cost.of_calls(counts, RATES)
    assert amounts.gateway == pytest.approx(40 * 4e-6) and amounts.compute == pytest.approx(2 * 0.00002)


def test_calls_are_paid_for_by_the_memory_that_their_process_had() -> None:
    by_mb = {"billed_by_mb": {"512": 2000, "2048": 1000}, "cold_by_mb": {"512": 400}}
    counts = Counts(requests=10, billed_ms=4000, cold_ms=500, **by_mb)
    amounts = cost.of_calls(counts, RATES)
    second = 0.00002
    assert amounts.compute == pytest.approx((2 * 0.5 + 1 * 2 + 1 * 2) * second), "one second of a process of before"
    assert amounts.starts == pytest.approx((0.4 * 0.5 + 0.1 * 2) * second)


def test_failed_calls_are_paid_for_and_are_no_answers() -> None:
    counts = Counts(requests=10, client_errors=2, server_errors=3)
    assert (cost.answers(counts), cost.of_calls(counts, RATES).calls) == (5, pytest.approx(10e-6))


def test_storage_is_by_time() -> None:
    month = 60 * cost.MONTH_HOURS
    assert cost.of_storage(2 * GIB, month, PRICES) == pytest.approx(0.06)
    assert cost.of_storage(2 * GIB, month / 2, PRICES) == pytest.approx(0.03)


def test_arm_has_a_price_of_its_own() -> None:
    assert REMEMBERED.of_gb_second("aarch64") == REMEMBERED.gb_second_arm64 < REMEMBERED.of_gb_second("x86_64")


def test_the_break_even_of_a_hand_computed_case() -> None:
    """100 ms of 2 GB: 4 µ$ each, 1 µ$ for the invocation and 4 µ$ for the gateway; the box is 73 $ a month."""
    counts = Counts(requests=1000, billed_ms=100_000)
    alone = cost.break_even(counts, RATES, INSTANCE, 0.5, gateway=True)
    behind = cost.break_even(counts, RATES, INSTANCE, 0.5, gateway=False)
    assert alone is not None and behind is not None
    assert alone.per_call == pytest.approx(9e-6) and behind.per_call == pytest.approx(5e-6)
    assert alone.calls == math.ceil(73 / 9e-6) and behind.calls == pytest.approx(73 / 5e-6, abs=2)
    assert alone.capacity == pytest.approx(0.5 * 2 * 730 * 3600 * 10)


def test_an_instance_that_is_full_before_it_is_cheaper_never_is() -> None:
    counts = Counts(requests=1000, billed_ms=100_000)
    full = cost.break_even(counts, RATES, INSTANCE, 0.01, gateway=True)
    assert full is not None and full.calls is None and full.capacity == pytest.approx(525_600)


def test_without_calls_there_is_no_break_even() -> None:
    assert cost.break_even(Counts(), RATES, INSTANCE, 0.5, gateway=True) is None
    assert cost.break_even(Counts(requests=1), RATES, INSTANCE, 0.5, gateway=True) is None


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.integers(512, 10240), st.floats(0.001, 100), st.floats(0.01, 1))
def test_at_the_break_even_the_functions_cost_what_the_instance_does(
    requests: int, mean_ms: int, memory_mb: int, hour: float, utilization: float
) -> None:
    rates = Rates(PRICES, memory_mb)
    counts = Counts(requests=requests, billed_ms=requests * mean_ms)
    point = cost.break_even(counts, rates, Instance(name="x", hour=hour, vcpus=4), utilization, gateway=True)
    assert point is not None
    instance = cost.MONTH_HOURS * hour
    if point.calls is None:
        assert point.capacity * point.per_call < instance
    else:
        assert (point.calls - 1) * point.per_call < instance * (1 + 1e-9)
        assert point.calls * point.per_call >= instance * (1 - 1e-9)
        assert point.calls <= point.capacity


@given(st.lists(st.builds(Counts, requests=st.integers(0, 99), billed_ms=st.integers(0, 9999)), max_size=5))
def test_the_cost_of_a_sum_is_the_sum_of_costs(parts: list[Counts]) -> None:
    whole, amounts = Counts(), Amounts()
    for one in parts:
        whole.add(one)
        amounts.add(cost.of_calls(one, RATES))
    assert amounts.total == pytest.approx(cost.of_calls(whole, RATES).total)


def test_prices_of_the_parameter_replace_those_that_are_remembered() -> None:
    assert parse("") is parse(" \n") is REMEMBERED
    own = parse('{"region": "eu-central-1", "date": "2026-12-01", "million_calls": 0.25}')
    assert (own.region, own.million_calls, own.gb_second) == ("eu-central-1", 0.25, REMEMBERED.gb_second)
    assert "remembered" in REMEMBERED.source and "remembered" not in own.source


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"region": "x"}',
        '{"region": "x", "date": "y", "gb_minute": 1}',
        '{"region": "x", "date": "y", "gb_second": -1}',
        '{"region": "x", "date": "y", "instance": {"name": "z", "hour": 0, "vcpus": 1}}',
        "[]",
    ],
)
def test_prices_that_cannot_be_read_are_said_and_not_guessed(text: str) -> None:
    with pytest.raises(Unavailable, match="parameter Prices of this deployment cannot be read"):
        parse(text)
