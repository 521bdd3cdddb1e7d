"""Which memory size suits, from what was measured at each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cost.advice import Measured, Size, advise, size
from shared.cost.prices import Prices

PRICES = Prices(region="x", date="y", gb_second=0.00001, gb_second_arm64=0.00001, million_calls=1.0)


def measured(memory_mb: int, *times: float, used_mb: int | None = 100, **more: object) -> Measured:
    billed = [int(-(-one // 1)) for one in times]
    return Measured(memory_mb=memory_mb, milliseconds=list(times), billed_ms=billed, used_mb=used_mb, **more)


def test_what_calls_at_a_size_come_to() -> None:
    one = size(measured(2048, 9.5, 10.2, 30.0, start_ms=400.0), PRICES)
    assert (one.median_ms, one.p95_ms, one.start_ms, one.calls, one.fits) == (10.2, 30.0, 400.0, 3, True)
    assert one.per_1000 == pytest.approx(1000 * ((10 + 11 + 30) / 3 / 1000 * 2 * 0.00001 + 1e-6))


def test_the_three_sizes_of_a_usual_sweep() -> None:
    """Half of the processor takes twice the time, up to one vCPU; more buys nothing but memory."""
    times = {512: 350.0, 1024: 174.0, 1769: 100.0, 3008: 99.5}
    sizes = [size(measured(memory, time), PRICES) for memory, time in times.items()]
    advice = advise(sizes, cpu_follows_memory=True)
    assert (advice.cheapest, advice.fastest, advice.smallest) == (1769, 1769, 512)


def test_a_faster_size_may_cost_a_tenth_more() -> None:
    sizes = [
        size(measured(1000, 100.0), PRICES),
        size(measured(2000, 54.0), PRICES),
        size(measured(4000, 40.0), PRICES),
    ]
    advice = advise(sizes, cpu_follows_memory=True)
    assert (advice.cheapest, advice.fastest) == (1000, 2000)


def test_what_fails_or_is_nearly_full_is_not_advised() -> None:
    sizes = [
        size(measured(256, 50.0, failure="413: too large"), PRICES),
        size(measured(512, 50.0, used_mb=500), PRICES),
        size(measured(1024, 50.0, used_mb=500), PRICES),
    ]
    assert [one.fits for one in sizes] == [False, False, True]
    assert sizes[0].failure == "413: too large" and sizes[0].per_1000 is None
    advice = advise(sizes, cpu_follows_memory=True)
    assert (advice.cheapest, advice.fastest, advice.smallest) == (1024, 1024, 1024)


def test_where_the_processor_does_not_follow_the_memory_times_say_nothing() -> None:
    advice = advise([size(measured(512, 5.0), PRICES), size(measured(1024, 5.0), PRICES)], cpu_follows_memory=False)
    assert (advice.cheapest, advice.fastest, advice.smallest) == (None, None, 512)


def test_without_a_measured_call_nothing_is_advised() -> None:
    one = size(measured(512), PRICES)
    assert (one.fits, one.failure) == (False, "no call was measured")
    advice = advise([one], cpu_follows_memory=True)
    assert (advice.cheapest, advice.fastest, advice.smallest) == (None, None, None)


SIZES = st.lists(
    st.builds(
        Size,
        memory_mb=st.integers(128, 10240),
        calls=st.just(1),
        fits=st.booleans(),
        median_ms=st.floats(0.1, 1000),
        per_1000=st.floats(1e-6, 10),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.memory_mb,
)


@given(SIZES)
def test_no_other_size_that_fits_is_better_than_what_is_advised(sizes: list[Size]) -> None:
    advice = advise(sizes, cpu_follows_memory=True)
    fitting = {one.memory_mb: one for one in sizes if one.fits}
    if not fitting:
        assert advice.cheapest is advice.fastest is advice.smallest is None
        return
    cheapest, fastest = fitting[advice.cheapest], fitting[advice.fastest]
    assert all(one.per_1000 >= cheapest.per_1000 for one in fitting.values())
    assert fastest.per_1000 <= 1.1 * cheapest.per_1000 and fastest.median_ms <= cheapest.median_ms
    assert all(one.median_ms >= fastest.median_ms for one in fitting.values() if one.per_1000 <= cheapest.per_1000)
    assert advice.smallest == min(fitting)
