"""The command: see bench.release."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np

from bench import page
from bench.machine import ROOT
from bench.release import canaries, rules
from bench.release.canaries import Traffic
from shared.release.evidence import Block

SEED = 18
ALPHA, NEEDED = 0.01, math.log(100)
MOST = 4000  # calls of a canary
BAD = (1.0, 0.2, 0.05, 0.02)
EQUAL = {
    "1 %, 50 calls a minute": Traffic(0.01, 0.01),
    "1 %, 500 calls a minute": Traffic(0.01, 0.01, calls=500, minutes=80),
    "0.1 %, 500 calls a minute": Traffic(0.001, 0.001, calls=500, minutes=80),
    "5 %, 500 calls a minute": Traffic(0.05, 0.05, calls=500, minutes=80),
    "30 %, 500 calls a minute": Traffic(0.3, 0.3, calls=500, minutes=80),
    "1 %, 500 calls a minute, and outages of both in a tenth of the minutes": Traffic(
        0.01, 0.01, calls=500, minutes=80, outages=0.1
    ),
}
LOSS = 0.01
PAGE = """# Operating models: measured

{measured} Made by `python -m bench.release --write`, seed {seed}. Counts, which a busy machine does not change.

## Canaries of equal quality that are rolled back

Stable version and canary fail alike; the canary has 10 % of the calls, up to about {most:,} of its own, and is looked
at each minute. α is 1 %. Upper: the upper end of the exact (Clopper-Pearson) 95 % interval.

{equal}

## Calls of a worse canary until it is stopped

The stable version fails in 1 %. Median number of the canary's calls, {worse_runs:,} canaries each; in brackets the
share that was stopped within about {most:,}, where it is not all of them. The watcher looks each minute, with 10 and
with 50 calls a minute (1 and 5 of the canary), so its figures are of whole minutes.

{worse}

## Going on

Until a loss above {loss:g} % is excluded, with 500 calls a minute: median number of the canary's calls; and how often
that was said of canaries that are worse by exactly that much, which is to be at most 1 %. {loss_runs:,} canaries each.

{on}

Elsewhere: drift, and accuracy without labels: [drift.md](drift.md). Counts beside a log of 1,000,000 calls over 50
processes with kills: the row `counts` of [trust.md](trust.md). What counting costs a call:
[2 µs before the answer, 40 µs after it](x86_64-avx2-avx512-vnni-fp16/counting.md).
"""


def upper(hits: int, n: int) -> float:
    """The upper end of the exact 95 % interval of a proportion, by bisection of the binomial distribution."""
    if hits == n:
        return 1.0
    low, high = hits / n, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        terms = (_log_binomial(n, k) + k * math.log(rate) + (n - k) * math.log1p(-rate) for k in range(hits + 1))
        low, high = (rate, high) if math.fsum(map(math.exp, terms)) > 0.025 else (low, rate)
    return high


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def share(hits: int, n: int) -> dict[str, Any]:
    return {"n": n, "stopped": hits, "share": hits / n, "upper": upper(hits, n)}


def equal_quality(runs: int, random: np.random.Generator) -> dict[str, Any]:
    shares = {}
    for name, traffic in EQUAL.items():
        paths = canaries.log_e(traffic.counts(runs, random))
        shares[f"the watcher: {name}"] = share(int((paths.max(axis=1) >= NEEDED).sum()), runs)
        if name.startswith("1 %, 500 calls a minute"):
            triples = np.exp(paths[: runs // 3 * 3].reshape(-1, 3, paths.shape[1])).mean(axis=1)
            stopped = int((triples.max(axis=1) >= 1 / ALPHA).sum())
            shares[f"the watcher, mean of three metrics: {name}"] = share(stopped, len(triples))
    for name, stops in usual(0.01, runs, random).items():
        shares[name] = share(int(np.isfinite(stops).sum()), runs)
    return shares


def usual(rate: float, runs: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """The calls until the usual rules stop a canary, in parts that fit into memory."""
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, runs, 1000):
        bad = random.random((min(1000, runs - start), MOST)) < rate
        stable_bad = random.binomial(9, 0.01, bad.shape)
        some = {"z-test at 1 %, every 50 calls of the canary": rules.z_test(bad, stable_bad)}
        some |= {f"over 5 % of the last {length} calls": rules.window(bad, length) for length in (20, 100)}
        for name, stops in some.items():
            parts.setdefault(name, []).append(stops)
    return {name: np.concatenate(stops) for name, stops in parts.items()}


def worse_canaries(runs: int, random: np.random.Generator) -> dict[str, dict[str, Any]]:
    stops_by_rule: dict[str, dict[str, Any]] = {}
    for rate in BAD:
        stops = {}
        for calls in (10, 50):
            counts = Traffic(0.01, rate, calls, minutes=MOST * 10 // calls).counts(runs, random)
            stops[f"the watcher, {calls} calls a minute"] = canaries.calls_until_stopped(counts, NEEDED)
        for name, calls_until in (stops | usual(rate, runs, random)).items():
            stopped = float(np.isfinite(calls_until).mean())
            stops_by_rule.setdefault(name, {})[f"{rate:g}"] = {
                "median": _median(calls_until),
                "stopped": stopped,
            }
    return stops_by_rule


def going_on(runs: int, random: np.random.Generator) -> dict[str, Any]:
    by_rate = {}
    for stable in (0.0, 0.001, 0.01):
        result = {}
        for name, more in (("equal", 0.0), ("worse", LOSS)):
            counts = Traffic(stable, stable + more, calls=500, minutes=120).counts(runs, random)
            until = canaries.calls_until_stopped(counts, NEEDED, LOSS)
            result[name] = {"median": _median(until), "said": float(np.isfinite(until).mean())}
        by_rate[f"{stable:g}"] = result
    return by_rate


def late_writers(runs: int, random: np.random.Generator) -> dict[str, Any]:
    """Equal canaries, a fifth of whose processes write ten minutes late: every look takes other counts of the past."""
    highest = []
    for start in range(0, runs, canaries.AT_ONCE):
        some = min(canaries.AT_ONCE, runs - start)
        counts = Traffic(0.01, 0.01, calls=500, minutes=80).counts(some, random)
        late_bad, late_stable_bad = (random.binomial(bad, 0.2) for bad in (counts.canary_bad, counts.stable_bad))
        late_good, late_stable_good = (
            random.binomial(n - bad, 0.2)
            for n, bad in ((counts.canary, counts.canary_bad), (counts.stable, counts.stable_bad))
        )
        late = Block(late_bad + late_good, late_bad, late_stable_bad + late_stable_good, late_stable_bad)
        highest.append(canaries.log_e_late(counts, late, 10).max(axis=1))
    return share(int((np.concatenate(highest) >= NEEDED).sum()), runs)


def text(result: dict[str, Any]) -> str:
    late = {"the watcher: 1 %, 500 calls a minute, a fifth of the counts ten minutes late": result["late"]}
    equal = [
        [name, f"{one['n']:,}", f"{one['stopped']:,}", f"{100 * one['share']:.2f} %", f"{100 * one['upper']:.2f} %"]
        for name, one in (result["equal"] | late).items()
    ]
    worse = [[name, *(_stop(rates[f"{rate:g}"]) for rate in BAD)] for name, rates in result["worse"].items()]
    on = [
        [f"{100 * float(stable):g} %", _or_never(one["equal"]["median"]), f"{100 * one['worse']['said']:.2f} %"]
        for stable, one in result["on"].items()
    ]
    return PAGE.format(
        measured=page.measured(result["stamp"], timed=False),
        seed=SEED,
        most=MOST,
        loss=100 * LOSS,
        worse_runs=result["worse_runs"],
        loss_runs=result["loss_runs"],
        equal=page.table(["rule", "canaries", "rolled back", "share", "upper"], equal),
        worse=page.table(["rule", *(f"fails in {100 * rate:g} %" for rate in BAD)], worse),
        on=page.table(["stable version fails in", "calls of an equal canary", "said of one that is 1 % worse"], on),
    )


def _median(calls: np.ndarray) -> float | None:
    """None where fewer than half have an end."""
    median = float(np.median(calls))
    return median if math.isfinite(median) else None


def _or_never(median: float | None) -> str:
    return "never" if median is None else f"{median:,.0f}"


def _stop(one: dict[str, Any]) -> str:
    median = _or_never(one["median"])
    return median if one["stopped"] > 0.9995 else f"{median} ({100 * one['stopped']:.1f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.release", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the canaries; writes nothing")
    parser.add_argument("--write", action="store_true", help="write bench/results/operate.md and operate.json")
    options = parser.parse_args()
    part = 50 if options.quick else 1
    random = np.random.default_rng(SEED)
    result: dict[str, Any] = {"stamp": page.stamp(options.quick), "worse_runs": 1000 // part, "loss_runs": 1000 // part}
    result["equal"] = equal_quality(10_000 // part, random)
    result["worse"] = worse_canaries(result["worse_runs"], random)
    result["on"] = going_on(result["loss_runs"], random)
    result["late"] = late_writers(3000 // part, np.random.default_rng([SEED, 1]))
    print(text(result))
    if options.write and not options.quick:
        page.write(ROOT / "bench" / "results", "operate", result, text(result))


if __name__ == "__main__":
    main()
