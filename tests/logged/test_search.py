"""Every line that is asked for is on one page, once, in the order of its time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import deadline
from shared.errors import BadInput, OutOfTime
from shared.logged import search
from shared.logged.search import ANSWERING, WORKING, Position, Search
from tests.cloud.template import TEMPLATE
from tests.logged.memory import MemoryLogs

ALL = Search(first=0, last=10**12)


def found(logs: MemoryLogs, limit: int = 100, **wanted: object) -> list[str]:
    """Messages of all pages."""
    messages, after = list[str](), None
    while True:
        lines, following = search.find(logs, Search(first=0, last=10**12, after=after, **wanted), limit)
        messages += [line.message for line in lines]
        if following is None:
            return messages
        after = Position.decode(following)


def test_all_functions_of_the_template_are_searched() -> None:
    resources = TEMPLATE["Resources"].items()
    functions = {name for name, one in resources if one["Type"] == "AWS::Serverless::Function"}
    assert {f"{name.capitalize()}Function" for name in ANSWERING + WORKING} == functions


# few times, so that many lines share one
@given(
    st.lists(st.tuples(st.sampled_from(["inference", "watch", "ingest"]), st.integers(1, 6)), max_size=25),
    st.integers(1, 5),
)
@settings(deadline=None, max_examples=60)
def test_pages_have_each_line_once_in_order(written: list[tuple[str, int]], limit: int) -> None:
    logs = MemoryLogs()
    for number, (function, at) in enumerate(written):
        logs.write(function, at, message=str(number))
    messages = found(logs, limit)
    assert sorted(messages) == sorted(str(number) for number in range(len(written)))
    times = [written[int(number)][1] for number in messages]
    assert times == sorted(times)


def test_a_call_is_all_lines_of_its_run() -> None:
    logs = MemoryLogs()
    logs.write("inference", 1, message="model loaded", requestId="run-1")
    logs.write("inference", 2, message="call", requestId="run-1", request_id="call-1")
    logs.write("inference", 3, message="call", requestId="run-2", request_id="call-2")
    logs.write("inference", 4, message="why", note="run-1 is in it, and it is no line of that run")
    logs.write("registry", 5, message="call", request_id="call-1")
    logs.text("watch", "call-1", 6)
    assert found(logs, 1, call="call-1") == ["model loaded", "call", "call"]
    assert found(logs, call="run-1") == ["model loaded", "call"]
    assert {function for function, _ in logs.asked} == set(ANSWERING), "no other has calls"


def test_a_model_and_a_level() -> None:
    logs = MemoryLogs()
    logs.write("inference", 1, model="wine")
    logs.write("inference", 2, model="wine-2")
    logs.write("inference", 3, level="WARN", message="stale", model="wine")
    logs.write("ingest", 4, level="ERROR", message="interrupted", errorType="OSError", errorMessage="gone")
    logs.text("inference", "free(): invalid pointer\n", 5)
    logs.text("inference", "START RequestId: 1 Version: $LATEST", 6)
    logs.text("inference", '{"type": "platform.report", "record": {}}', 7)
    assert found(logs, model="wine") == ["call", "stale"]
    assert found(logs, level="WARNING") == ["stale", "interrupted"]
    assert found(logs) == ["call", "call", "stale", "interrupted", "free(): invalid pointer"]
    assert found(logs, functions=("ingest",)) == ["interrupted"]


def test_a_log_that_is_too_long_says_what_to_do() -> None:
    logs = MemoryLogs()
    logs.write("inference", 1)
    with deadline.within(0.5), pytest.raises(OutOfTime, match="give a shorter time"):
        search.find(logs, ALL, 10)


@pytest.mark.parametrize("text", ["", "1", "1.watch", "1.watch.a b", "x.watch.1", "1.WATCH.1"])
def test_a_position_that_is_none(text: str) -> None:
    with pytest.raises(BadInput, match="`next` is none"):
        Position.decode(text)
