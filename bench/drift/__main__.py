"""The command: see bench.drift."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np

from bench import page
from bench.drift import accuracy, data, quiet, streams
from bench.machine import ROOT

SEED = 18
MOST = 96  # hours
RATES = (20, 200, 2000)  # items an hour
QUIET = ((450, 20), (6000, 20), (6000, 200), (6000, 5000))  # items of the reference, and an hour's
PAGE = """# Drift: measured

{measured} Made by `python -m bench.drift --write`, seed {seed}. Counts, which a busy machine does not change.

## Days on which nothing changes

Three features, scores and labels, looked at 49 times a day as the watch function does; every 20 days another version,
with a reference of its own. At most one in 1,000 is meant to ring. Certain: some column differs by more than chance
makes, however little. The usual rule: PSI above {rule:g} in some column of an hour with 100 items or more.

{quiet}

## Until it is found

Two days of traffic as it was, then all of it changed: median hours until a look sees drift, of {runs} runs; never: not
within {most} hours; in brackets the share that was found, where it is not all of them. Items are drawn from finite sets
with replacement, so "nothing" has the difference of two halves of a set: of 285 rows each, that is a real one.

{delays}

## Accuracy without labels

Fashion-MNIST's test split: one half made the calibration table, {items:,} calls each of the other, {estimates} times.
Within: runs whose 95 % interval has the accuracy of these calls. Doubtful: runs in which inputs or labels drift, and it
says so.

{accuracy}
"""


def measure(quick: bool) -> dict[str, Any]:
    random = np.random.default_rng(SEED)
    result: dict[str, Any] = {"stamp": page.stamp(quick), "quiet": [], "delays": [], "runs": 2 if quick else 11}
    for m, rate in QUIET:
        result["quiet"].append({"m": m, "rate": rate} | quiet.days(20 if quick else 1000, m, rate, random))
        print(result["quiet"][-1], flush=True)
    for kind, load in (("images", data.images), ("texts", data.texts), ("rows", data.rows)):
        manifest, pools = load(random)
        for name, pool in pools.items():
            hours = {}
            for rate in RATES:
                found = [
                    streams.delay(manifest, pools["nothing"].counts, pool.counts, rate, MOST, random)
                    for _ in range(result["runs"])
                ]
                hours[str(rate)] = found
            result["delays"].append({"kind": kind, "change": name, "hours": hours})
            print(result["delays"][-1], flush=True)
    result["accuracy"] = accuracy.measure(random, quick)
    return result


def text(result: dict[str, Any]) -> str:
    rows = [
        [f"{one['m']:,}", f"{one['rate']:,}", f"{one['days']:,}"]
        + [str(one[name]) for name in ("alarmed", "significant", "usual")]
        + [f"{100 * one['waited']:.0f} %"]
        for one in result["quiet"]
    ]
    heading = ["reference", "items an hour", "days", "with an alarm", "certain", "the usual rule", "looks that waited"]
    delays = [
        [one["kind"], one["change"], *(_median(one["hours"][str(rate)]) for rate in RATES)] for one in result["delays"]
    ]
    shares = ("accuracy", "estimate", "mean_score", "inside", "doubtful")
    estimates = [[one["change"], *(f"{100 * one[name]:.1f} %" for name in shares)] for one in result["accuracy"]]
    return PAGE.format(
        items=accuracy.ITEMS,
        estimates=accuracy.RUNS,
        accuracy=page.table(["change", "accuracy", "mean estimate", "mean top score", "within", "doubtful"], estimates),
        measured=page.measured(result["stamp"], timed=False),
        seed=SEED,
        rule=quiet.RULE,
        runs=result["runs"],
        most=MOST,
        quiet=page.table(heading, rows),
        delays=page.table(["", "change", *(f"{rate:,} items an hour" for rate in RATES)], delays),
    )


def _median(hours: list[int | None]) -> str:
    found = [hour for hour in hours if hour is not None]
    if len(found) * 2 <= len(hours):
        return "never" if not found else f"never ({100 * len(found) / len(hours):.0f} %)"
    median = statistics.median([MOST + 1 if hour is None else hour for hour in hours])
    return f"{median:g}" if len(found) == len(hours) else f"{median:g} ({100 * len(found) / len(hours):.0f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.drift", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some days and runs; writes nothing")
    parser.add_argument("--write", action="store_true", help="write bench/results/drift.md and drift.json")
    options = parser.parse_args()
    result = measure(options.quick)
    print(text(result))
    if options.write and not options.quick:
        page.write(ROOT / "bench" / "results", "drift", result, text(result))


if __name__ == "__main__":
    main()
