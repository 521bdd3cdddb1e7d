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


TRACEBACK = """\
[ERROR] RetryError: record 2 of model 'm' is not there yet
Traceback (most recent call last):
  File "app.py", line 1, in handler
    work()
    ^^^^^^
  File "work.py", line 2, in work
    ^^^^^^
KeyError: 'm'
with a message of
  several rows {
}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "app.py", line 3, in handler
    raise RetryError
RetryError: record 2 of model 'm' is not there yet"""
ROWS = [row for row in TRACEBACK.splitlines() if row]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_a_traceback_is_an_error_and_keeps_its_order(limit: int) -> None:
    logs = MemoryLogs()
    for number, row in enumerate(TRACEBACK.splitlines()):  # at one time, but for its end
        logs.text("watch", f"{row}\n", 5 if number < 15 else 6, "one")
        logs.text("watch", "free(): invalid pointer", 5 if number < 15 else 6, "two")
    logs.text("watch", "free(): invalid pointer", 7, "one")
    logs.text("watch", TRACEBACK, 8, "one")
    logs.text("watch", "free(): invalid pointer", 9, "one")
    assert found(logs, limit, level="ERROR") == [*ROWS, TRACEBACK]
    everything = found(logs, limit)
    assert [one for one in everything if not one.startswith("free")] == [*ROWS, TRACEBACK]
    assert len(everything) == len(ROWS) + 1 + len(TRACEBACK.splitlines()) + 2


def test_a_traceback_that_is_cut_off_makes_no_error_of_what_follows() -> None:
    logs = MemoryLogs()
    for at, text in enumerate(["Traceback (most recent call last):", '  File "a.py"', "START RequestId: 1", "Killed"]):
        logs.text("watch", text, at)
    assert found(logs, level="ERROR") == ["Traceback (most recent call last):", '  File "a.py"']


def test_a_page_goes_on_in_the_place_of_a_line_that_is_gone() -> None:
    logs = MemoryLogs()
    logs.text("watch", "gone", 1)
    logs.text("watch", "left", 1)
    _, following = search.find(logs, ALL, 1)
    assert following is not None
    del logs.of["watch"][0]
    after = Position.decode(following)
    lines, _ = search.find(logs, Search(first=0, last=10**12, after=after), 10)
    assert [line.message for line in lines] == ["left"]


def test_a_log_that_is_too_long_says_what_to_do() -> None:
    logs = MemoryLogs()
    logs.write("inference", 1)
    with deadline.within(0.5), pytest.raises(OutOfTime, match="give a shorter time"):
        search.find(logs, ALL, 10)


@pytest.mark.parametrize("text", ["", "1", "1.watch", "1.watch.a b", "x.watch.1", "1.WATCH.1"])
def test_a_position_that_is_none(text: str) -> None:
    with pytest.raises(BadInput, match="`next` is none"):
        Position.decode(text)
