"""How many requests of the store each operation makes, how many bytes and milliseconds, as registries grow."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bench import servers
from bench.counting import KINDS, CountingStore, Tally, on_the_wire
from bench.questions import OPERATIONS, Call, Operation, Probe
from bench.worlds import World, copy, many_models, many_moves, many_versions
from shared.registry.log import SNAPSHOT
from shared.storage.s3 import S3Store

REPEATS = 5
LATENCY = 0.010
HEAVY = 1000  # an operation of more requests than this is done once
# Assumed, not looked up by this run: AWS's public prices in us-east-1, S3 Standard and KMS, as of 2026-11. USD.
PRICES = {"GET": 0.0004 / 1000, "HEAD": 0.0004 / 1000, "PUT": 0.005 / 1000, "LIST": 0.005 / 1000, "DELETE": 0.0}
SIGNATURE = 0.15 / 10_000
COMPACTION = "compact the catalogue"


@dataclass(frozen=True)
class Sizes:
    models: tuple[int, ...]
    history: int


def measure(sizes: Sizes, endpoint: str) -> dict[str, Any]:
    """Figures by world and operation. The largest worlds are asked on a real S3 server too."""
    found: dict[str, Any] = {}
    for count in sizes.models:
        world = many_models(count)
        found[world.title] = _on(world, count == max(sizes.models), endpoint)
    for world in (many_versions(sizes.history), many_moves(sizes.history)):
        found[world.title] = _on(world, True, endpoint)
    return {"latency_ms": LATENCY * 1e3, "worlds": found, "prices": PRICES, "signature": SIGNATURE}


def _on(world: World, largest: bool, endpoint: str) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    if largest:
        sent = _on_s3(world, endpoint)  # first, so that both start from the same objects
    probe = Probe(world, CountingStore(world.store))
    found = {operation.title: _counted(probe, operation) for operation in OPERATIONS}
    if largest:
        for operation in OPERATIONS:
            found[operation.title] |= _round_trips(probe, operation)
    for title, figures in sent.items():
        found[title] |= figures
    return {title: figures | _cost(found, title) for title, figures in found.items()}


def _on_s3(world: World, endpoint: str) -> dict[str, Any]:
    bucket = world.title.replace(" ", "-").replace(",", "")
    store, rival = S3Store(bucket, endpoint), S3Store(bucket, endpoint)
    rival._client.create_bucket(Bucket=bucket)
    copy(world.store, bucket, servers.port_of(endpoint))
    sent = on_the_wire(store)
    probe = Probe(World(world.title, rival, world.model), CountingStore(store))
    found = {}
    for operation in OPERATIONS:
        if operation.on_s3:
            call = operation.prepare(probe)
            sent.clear()
            taken = [_timed(probe, call)[0]]
            wire = _text(sent)
            for _ in range(0 if sent.total() > HEAVY else REPEATS - 1):
                taken.append(_timed(probe, operation.prepare(probe))[0])
            found[operation.title] = {"s3_ms": round(statistics.median(taken), 2), "on_the_wire": wire}
    return found


def _timed(probe: Probe, call: Call) -> tuple[float, Tally]:
    """Milliseconds, and what was asked of the store meanwhile."""
    probe.store.tally = tally = Tally()
    started = time.perf_counter()
    call()
    taken = (time.perf_counter() - started) * 1e3
    probe.store.tally = Tally()
    probe.clean()
    return taken, tally


def _counted(probe: Probe, operation: Operation) -> dict[str, Any]:
    taken: list[float] = []
    tallies: list[Tally] = []
    while len(taken) < REPEATS and not (tallies and tallies[0].requests.total() > HEAVY):
        milliseconds, tally = _timed(probe, operation.prepare(probe))
        taken.append(milliseconds)
        tallies.append(tally)
    first, milliseconds = tallies[0], statistics.median(taken)
    return {
        "requests": {kind: first.requests[kind] for kind in KINDS if first.requests[kind]},
        "text": _text(first.requests),
        "same_each_time": all(tally.requests == first.requests for tally in tallies),
        "bytes_down": first.down,
        "bytes_up": first.up,
        "memory_ms": round(milliseconds, 3),
    }


def _round_trips(probe: Probe, operation: Operation) -> dict[str, float]:
    """How many requests waited for one another: the time spent waiting for a store of a known latency."""
    if not operation.on_s3:
        return {}
    call = operation.prepare(probe)
    probe.store.latency = LATENCY
    _, tally = _timed(probe, call)
    probe.store.latency = 0.0
    return {"round_trips": round(tally.waited / LATENCY, 1)}


def _text(requests: Counter[str]) -> str:
    return " + ".join(f"{requests[kind]:,} {kind}" for kind in KINDS if requests[kind]) or "none"


def _price(requests: dict[str, int]) -> float:
    return sum(PRICES[kind] * count for kind, count in requests.items())


def _cost(found: dict[str, Any], title: str) -> dict[str, float]:
    """USD for a million: of the requests; of transitions also their share of compactions, and the signature."""
    cost = _price(found[title]["requests"])
    writes = next(operation.writes for operation in OPERATIONS if operation.title == title)
    if not writes:
        return {"usd_per_million": round(cost * 1e6, 3)}
    cost += _price(found[COMPACTION]["requests"]) / 16
    return {"usd_per_million": round(cost * 1e6, 3), "usd_per_million_signed": round((cost + SIGNATURE) * 1e6, 3)}


def claims(found: dict[str, Any], sizes: Sizes) -> list[dict[str, Any]]:
    """What is claimed of the registry's request counts, and whether this run bears it out."""
    worlds: dict[str, Any] = found["worlds"]
    by_models = [worlds[f"{count:,} models"] for count in sizes.models]
    deep = [worlds[f"{sizes.history:,} versions"], worlds[f"{sizes.history:,} alias moves"]]

    def totals(title: str, among: list[dict[str, Any]]) -> list[int]:
        return [sum(world[title]["requests"].values()) for world in among]

    rows = []
    resolving = [o.title for o in OPERATIONS if o.title.startswith("resolve") and o.allowed <= 1]
    most = {title: max(totals(title, by_models + deep)) for title in resolving}
    rows.append(_claim("resolving takes at most 3 requests at any size", max(most.values()) <= 3, most))
    growing = {
        o.title: totals(o.title, by_models)
        for o in OPERATIONS
        if "models" not in o.grows and len({*totals(o.title, by_models)}) > 1
    }
    rows.append(_claim("no operation's requests grow with the number of models", not growing, growing))
    deeper = {
        o.title: [totals(o.title, by_models)[-1], *totals(o.title, deep)]
        for o in OPERATIONS
        if "history" not in o.grows and max(totals(o.title, deep)) > totals(o.title, by_models)[-1] + o.allowed
    }
    rows.append(_claim("no operation's requests grow with a model's history", not deeper, deeper))
    pages = {o.title: totals(o.title, deep) for o in OPERATIONS if o.title.startswith("history")}
    rows.append(_claim("a page of history takes its 50 records and 2 more", max(map(max, pages.values())) <= 52, pages))
    lost = {o.title: totals(o.title, by_models + deep) for o in OPERATIONS if o.title.endswith("head.json lost")}
    bound = SNAPSHOT + 16
    text = f"folding is bounded by snapshots: with the head lost, at most {bound} requests"
    rows.append(_claim(text, max(map(max, lost.values())) <= bound, lost))
    exempt = {o.title: o.grows for o in OPERATIONS if o.grows}
    growth = {title: {w: worlds[w][title]["text"] for w in worlds} for title in exempt}
    rows.append({"claim": "these grow, by design", "holds": None, "numbers": growth, "with": exempt})
    return rows


def _claim(text: str, holds: bool, numbers: Any) -> dict[str, Any]:
    return {"claim": text, "holds": holds, "numbers": numbers}
