"""Counts against a log of calls: many processes with clocks of their own, kills, lost replies, mergers at once.

    python -m tests.proofs.counts 1000000      prints what was written, lost and found

One seed determines a run. Whatever a store does to a writer or a merger happens here: an operation is refused, or takes
effect and its reply is lost; a merger is overtaken by another one at any of its operations; a process is killed with
what it had not written.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from unittest import mock

from shared import keys
from shared.counts import merge, read
from shared.counts.counts import Counts, Key
from shared.counts.read import Wanted
from shared.counts.times import minute_of
from shared.counts.unwritten import EVERY, Unwritten
from shared.storage.base import Object, ObjectNotFound, Store, Unavailable
from shared.storage.memory import MemoryStore
from tests.failing import WRITES, Call, FailingStore, Fault, Plan

BEGIN = minute_of("20260131T08") * 60.0
MODELS = ("a", "b", "c")
Log = Counter[tuple[Key, int]]


def unreliable(world: World, share: float) -> Plan:
    """Of a writer's or a merger's writes, some are refused, and of some the reply is lost."""

    def plan(call: Call) -> Fault | None:
        draw = world.random.random() if call.operation in WRITES else 1.0
        if draw < share / 2:
            return Fault(before=Unavailable("refused"))
        return Fault(after=Unavailable("the reply was lost")) if draw < share else None

    return plan


def overtaken(world: World, share: float) -> Plan:
    """The same of a merger: before some of its operations a process writes, and another merger does all its work."""
    itself = unreliable(world, share)

    def plan(call: Call) -> Fault | None:
        if world.random.random() < 0.05:
            world.random.choice(world.processes).write()
            with suppress(Unavailable):
                merge.merge(FailingStore(world.store, unreliable(world, share)))
        return itself(call)

    return plan


class Process:
    """unwritten_calls: those since its last write that took effect, with their times by its clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ahead = world.random.choice([0.0, world.random.uniform(-2, 2), world.random.uniform(-7200, 7200)])
        self.store: Store = FailingStore(world.store, unreliable(world, 0.05))
        self.counted = Unwritten(self.clock)
        self.counted._process = world.random.randbytes(8).hex()  # the order of a list of keys is of the seed, too
        self.landed: Log = Counter()
        self.calls: list[tuple[float, Key]] = []

    def clock(self) -> float:
        return self._world.now + self._ahead

    def call(self) -> None:
        random_ = self._world.random
        alias = random_.choice(["", "production", "production", "canary"])
        key = Key(random_.choice(MODELS), random_.randint(1, 2), alias, random_.randint(1, 3) if alias else 0)
        self.calls.append((self.clock(), key))
        self.counted.add(key, int(self.clock() // 60), Counts(requests=1, ns={"total": 5}))
        if self.counted.is_due():
            self.write()

    def write(self) -> None:
        with suppress(Unavailable):
            self.counted.write(self.store)

    def forgotten(self) -> list[tuple[float, Key]]:
        """What a kill takes along: calls that are in no object whose writing took effect."""
        lost: Log = Counter()
        for (key, at), counts in self.counted._table.items():
            lost[key, at] += counts.requests
        present = {info.key for info in self._world.store.list_page(keys.STATS_RAW, limit=10**9).objects}
        for key, body in self.counted._begun:
            if key not in present and not self._world.is_merged(key):
                for row in merge.read_raw(key, body).rows:
                    lost[row.key, row.at] += row.counts.requests
        forgotten = []
        for at, of in sorted(self.calls, reverse=True):  # the newest first
            if lost[of, int(at // 60)] > 0:
                lost[of, int(at // 60)] -= 1
                forgotten.append((at, of))
        assert not +lost, "it has what it was not asked for"
        return forgotten


class World:
    def __init__(self, seed: int, calls: int, processes: int, merges: int = 300) -> None:
        """merges: about so many, and a third as many processes that end, half of them killed."""
        self._about = merges
        self.random = random.Random(seed)
        self.store = MemoryStore()
        self.now = BEGIN
        self.log: Log = Counter()
        self.lost: Log = Counter()
        self.killed = self.merges = 0
        self._rate = calls / (2 * 3600)  # two hours of calls
        self.processes = [Process(self) for _ in range(processes)]

    def is_merged(self, key: str) -> bool:
        named = keys.parse_stats_raw(key)
        assert named is not None
        return merge.is_merged(merge.read_hour(self.store, named[0])[0], key)

    def run(self, calls: int) -> None:
        for _ in range(calls):
            self.now += self.random.expovariate(self._rate)
            place = self.random.randrange(len(self.processes))
            self.processes[place].call()
            at, key = self.processes[place].calls[-1]
            self.log[key, int(at // 60)] += 1
            draw = self.random.random() * calls
            if draw < self._about:
                self.merge()
            elif draw < self._about * 4 / 3:
                self.end(place, killed=draw < self._about * 7 / 6)
        for place in range(len(self.processes)):
            self.end(place, killed=False)

    def end(self, place: int, *, killed: bool) -> None:
        """Of a process: killed, or asked to end, so that it writes what it has."""
        process = self.processes[place]
        if not killed:
            process.counted.write(self.store)
        forgotten = process.forgotten()
        assert killed or not forgotten
        self.killed += killed
        self.lost.update((key, int(at // 60)) for at, key in forgotten)
        self.processes[place] = Process(self)

    def merge(self) -> None:
        self.merges += 1
        with suppress(Unavailable):
            merge.merge(FailingStore(self.store, overtaken(self, 0.05)))

    def requests(self) -> Log:
        """By the reader, from the store as it is."""
        requests: Log = Counter()
        for model in MODELS:
            wanted = Wanted(model=model, first=int(BEGIN // 60) - 1440, last=int(BEGIN // 60) + 1440)
            for of, counts in read.read(self.store, wanted).table.items():
                requests[of] += counts.requests
                assert counts.ns["total"] == 5 * counts.requests
        return requests


@contextmanager
def one_after_another() -> Iterator[None]:
    """What the merger and the reader do in several threads, in one: which draw is whose is of the seed, too."""

    def get_many(store: Store, names: Sequence[str], *, missing: bytes) -> list[Object]:
        objects = []
        for name in names:
            try:
                objects.append(store.get(name))
            except ObjectNotFound:
                objects.append(Object(missing, ""))
        return objects

    def delete_many(store: Store, names: Sequence[str]) -> None:
        for name in names:
            store.delete(name)

    with (
        mock.patch.object(merge, "get_many", get_many),
        mock.patch.object(merge, "delete_many", delete_many),
        mock.patch.object(read, "get_many", get_many),
    ):
        yield


@one_after_another()
def check(seed: int, calls: int, processes: int = 50, merges: int = 300) -> World:
    """Raises AssertionError unless what is read is the log less what the killed had not written; before a last merge
    and after it.
    """
    world = World(seed, calls, processes, merges)
    world.run(calls)
    expected = world.log - world.lost
    assert world.requests() == expected
    merge.merge(world.store)
    assert world.store.list_page(keys.STATS_RAW).objects == []
    assert world.requests() == expected
    return world


def lost_since_written(seed: int) -> float:
    """The longest time, in s, from a process' last write to a call that a kill takes along, where no write fails."""
    world = World(seed, 3000, 5)
    longest = 0.0
    for _ in range(3000):
        world.now += world.random.expovariate(1.0)
        process = world.random.choice(world.processes)
        process.store = world.store
        process.call()
        for at, _ in process.forgotten():
            assert process.counted._written is not None
            longest = max(longest, at - process.counted._written)
    return longest


def main() -> None:
    calls = int(sys.argv[1])
    started = time.perf_counter()
    world = check(1, calls)
    lost = sum(world.lost.values())
    print(f"{calls:,} calls, {world.killed} processes killed with {lost:,} calls that they had not written")
    print(
        f"{sum(world.requests().values()):,} read, each key and minute as in the log less those; {world.merges} merges"
    )
    print(f"{time.perf_counter() - started:.0f} s; a write at least each {EVERY:.0f} s of calls")


if __name__ == "__main__":
    main()
