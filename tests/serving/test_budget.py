"""What one call may take of the process: asked for before it is taken, given back with its part, over it an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared import budget, deadline
from shared.config import CALL_MEMORY, CALL_SHARE, Config, MiB
from shared.errors import OutOfTime, TooLarge
from shared.serving import tasks
from tests.serving.test_limits import picture, png


@pytest.fixture(autouse=True)
def allowed() -> Iterator[None]:
    before = budget.limit()
    budget.allow(1000)
    yield
    budget.allow(before)


def test_steps_of_a_call_share_its_budget() -> None:
    with budget.part():
        budget.take(600, "one")
        with pytest.raises(TooLarge, match=r"two takes 500 bytes .* one call may take 1,000 in all"):
            budget.take(500, "two")
        budget.take(400, "three")
    budget.take(1000, "outside of any, each is held against the whole")


def test_what_a_part_takes_is_free_at_its_end_and_what_is_kept_is_not() -> None:
    with budget.part():
        for _ in range(3):
            with budget.part():
                budget.take(900, "a step")
        with budget.part():
            budget.keep(400, "an answer")
        with pytest.raises(TooLarge), budget.part():
            budget.take(601, "another")
        with budget.part():
            budget.take(600, "another")


def test_a_loop_looks_at_the_clock() -> None:
    assert list(budget.steps(range(1000), "it")) == list(range(1000))
    seen = []
    with deadline.within(0.0), pytest.raises(OutOfTime, match="it was done"):
        seen += list(budget.steps(range(1000), "it"))
    assert seen == []


def test_the_function_says_how_much_there_is() -> None:
    assert Config.from_env({"BUCKET": "b"}).call_memory == CALL_MEMORY
    function = {"BUCKET": "b", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048"}
    assert Config.from_env(function).call_memory == 2048 * MiB // CALL_SHARE


def test_an_image_is_refused_by_its_header() -> None:
    with pytest.raises(TooLarge, match=r"image.* bytes of memory"):
        tasks.predict(picture(), png(300, 300), "image/png", {})
