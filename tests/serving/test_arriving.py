"""Models that are not there within the time of one call: shared/serving/arriving.py."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from shared import deadline
from shared.errors import Unavailable
from shared.serving.arriving import Arriving, StillLoading

SOON = 0.05  # seconds


class Slow:
    """A load that ends when it may; counts how often it began, and notes the deadline that it saw."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_end, self.begun, self.error = threading.Event(), 0, error
        self.deadlines: list[float | None] = []

    def begin(self) -> Callable[[], str]:
        self.begun += 1
        return self._load

    def _load(self) -> str:
        self.deadlines.append(deadline.remaining())
        assert self.may_end.wait(20)
        if self.error:
            raise self.error
        return f"model {self.begun}"


def test_a_load_goes_on_behind_its_call_and_the_next_call_takes_it() -> None:
    arriving, slow = Arriving[str](), Slow()
    for _ in range(2):
        with deadline.within(SOON), pytest.raises(StillLoading, match="1,500 MB") as refused:
            arriving.take("a", slow.begin, 1_500_000_000)
        assert refused.value.status == 503 and refused.value.retry_after
    slow.may_end.set()
    with deadline.within(20):
        assert arriving.take("a", slow.begin, 1) == "model 1"
    assert (slow.begun, slow.deadlines) == (1, [None]), "it neither began anew, nor had the call's time only"
    assert arriving.take("a", slow.begin, 1) == "model 2", "what was taken is kept by who took it"


def test_a_load_that_fails_behind_its_call_is_told_and_tried_again() -> None:
    arriving, slow = Arriving[str](), Slow(Unavailable("blob 1 is missing"))
    with deadline.within(SOON), pytest.raises(StillLoading):
        arriving.take("a", slow.begin, 1)
    slow.may_end.set()
    with pytest.raises(Unavailable, match="missing"):
        arriving.take("a", slow.begin, 1)
    slow.error = None
    assert arriving.take("a", slow.begin, 1) == "model 2"


def test_a_load_s_own_time_out_is_its_error_and_it_is_tried_again() -> None:
    arriving, slow = Arriving[str](), Slow(TimeoutError("the store does not answer"))
    slow.may_end.set()
    with pytest.raises(TimeoutError, match="does not answer"):
        arriving.take("a", slow.begin, 1)
    slow.error = None
    assert arriving.take("a", slow.begin, 1) == "model 2"


def test_what_nobody_came_back_for_is_forgotten_when_another_model_is_loaded() -> None:
    arriving, first, other = Arriving[str](), Slow(), Slow()
    with deadline.within(SOON), pytest.raises(StillLoading):
        arriving.take("a", first.begin, 1)
    with deadline.within(SOON), pytest.raises(StillLoading):
        arriving.take("b", other.begin, 1)
    first.may_end.set()
    assert arriving.take("a", first.begin, 1) == "model 1", "it was at work, and is not forgotten"
    with deadline.within(SOON), pytest.raises(StillLoading):
        arriving.take("a", (again := Slow()).begin, 1)
    again.may_end.set()
    other.may_end.set()
    while not all(load.is_over for load in arriving._loads.values()):
        pass
    assert arriving.take("c", first.begin, 1) == "model 2"
    assert arriving._loads == {}


def test_two_threads_at_once_load_once() -> None:
    arriving, slow, models = Arriving[str](), Slow(), list[str]()
    threads = [threading.Thread(target=lambda: models.append(arriving.take("a", slow.begin, 1))) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not slow.begun:
        pass
    slow.may_end.set()
    for thread in threads:
        thread.join()
    assert slow.begun == len(set(models))
