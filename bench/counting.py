"""What counting costs a call: writes results/<kind>/counting.md.

    python -m bench.counting [--quick] [--write]

The same call of the inference function with and without counting, in turns; the medians of the differences within
pairs count. What is done after the answer is measured beside it: no caller waits for it, but Lambda bills it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import time
from typing import Any

from bench import page
from bench.machine import RESULTS
from functions.inference import app, calls
from shared.counts.unwritten import Unwritten
from shared.registry.log import Log
from shared.serving.counter import Counter
from shared.serving.models import Models
from shared.storage.memory import MemoryStore
from tests.serving.test_models import publish
from tests.support import caller, linear, load_event

WARM = 200  # calls before those that count


def measure(seconds: float) -> dict[str, Any]:
    store = MemoryStore()
    publish(store, "m", linear([[1.0], [0.0]]), "upload-1")
    served = Models(Log(store), ttl=1e9, capacity=2**30)
    app.models = lambda: served  # type: ignore[assignment]  # a cached function
    counter = Counter(lambda: store, afterwards=True)
    counter._unwritten = Unwritten(lambda: 0.0)
    silent = list(calls.observers._observers)
    counting = [*silent, counter.observe]
    event = infer_event()
    taken: dict[str, list[float]] = {"without": [], "with": [], "afterwards": []}
    until, rounds = time.perf_counter() + seconds, 0
    kinds = [("without", silent), ("with", counting)]
    while time.perf_counter() < until:
        kinds.reverse()  # each goes first as often: the second call finds its way warm
        for name, observers in kinds:
            calls.observers._observers = observers
            took = timed(lambda: app.handler(event, None))
            afterwards = timed(counter.fold)
            if rounds >= WARM:
                taken[name].append(took)
                if name == "with":
                    taken["afterwards"].append(afterwards)
        rounds += 1
    calls.observers._observers = silent
    write = [timed(lambda: one_write(counter, store)) for _ in range(50)]
    extra = [more - less for less, more in zip(taken["without"], taken["with"], strict=True)]
    return {
        "calls": len(extra),
        "extra_us": statistics.median(extra),
        "alone_us": alone(counter),
        **{f"{name}_us": statistics.median(some) for name, some in taken.items()},
        "write_us": statistics.median(write),
        "object_bytes": max(info.size for info in store.list_page("stats/raw/").objects),
    }


def alone(counter: Counter) -> float:
    """Microseconds of what a caller waits for: a call put aside, its line of phases and its note for the log."""
    observed: list[Any] = []
    calls.observers._observers = [observed.append]
    app.handler(infer_event(), None)
    [call] = observed
    notes: dict[str, Any] = {}

    def once() -> None:
        counter.observe(call)
        calls._timing(call)
        notes.update(model="m", version=1, alias="production")
        counter._waiting.clear()

    return statistics.median(timed(lambda: [once() for _ in range(100)]) / 100 for _ in range(200))


def infer_event() -> dict[str, Any]:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]}]}
    event = load_event("apigateway_proxy")
    event |= {"httpMethod": "POST", "path": "/v2/models/m/infer", "queryStringParameters": None}
    event |= {"body": json.dumps(body), "isBase64Encoded": False, "headers": {}}
    event["requestContext"]["authorizer"] = caller("infer")
    return event


def timed(work: Any) -> float:
    """Microseconds, with the lines that the function logs going nowhere."""
    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - started) / 1e3


def one_write(counter: Counter, store: MemoryStore) -> None:
    app.handler(infer_event(), None)
    calls.observers._observers = [counter.observe]
    counter.fold()
    counter.unwritten.write(store)


def markdown(run: dict[str, Any]) -> str:
    columns = ["a call without counting, µs", "with, µs", "more, µs", "pairs of calls"]
    row = [f"{run['without_us']:,.1f}", f"{run['with_us']:,.1f}", f"{run['extra_us']:.2f}", f"{run['calls']:,}"]
    note = (
        f"By itself, all that a caller waits for takes {run['alone_us']:.2f} µs: the call put aside, the header "
        f"Server-Timing, the note for the log. After the answer: {run['afterwards_us']:,.0f} µs of counting; once a "
        f"minute and process {run['write_us']:,.0f} µs more (a call of the handler included) to make an object, of "
        f"{run['object_bytes']:,} bytes for one key, and a request to the store."
    )
    return "\n\n".join(["# What counting costs", page.measured(run, {}), page.table(columns, [row]), note]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a second, to see that it works")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    run = page.stamp(options.quick) | measure(2.0 if options.quick else 30.0)
    print(markdown(run))
    if options.write:
        page.write(RESULTS, "counting", run, markdown(run))


if __name__ == "__main__":
    main()
