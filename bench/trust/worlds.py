"""Proofs by simulated worlds, by seeded bugs, and by storage events that are lost, doubled and out of order."""

from __future__ import annotations

import random
from collections import Counter

from bench.trust.proof import LIMIT, Outcome, replaced
from shared.ingest import candidate, pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from tests.proofs import test_events
from tests.proofs.conftest import checked_once
from tests.proofs.stores import age
from tests.simulation import bugs, rules
from tests.simulation.__main__ import run
from tests.simulation.seeded import Bug, seeded

DAYS = 20  # of a world
WORLDS = 40  # in which a seeded bug has to be found
LOST = 0.3  # of the worlds of events, those in which some never come
# changes nothing: whoever finds it, finds anything
NO_BUG = Bug("no bug", "shared.registry.collect:collect", "recent += 1", "recent = recent + 1")


def days(count: int, seed: int) -> Outcome:
    """count: simulated days, in worlds of 20."""
    outcome, steps = Outcome(0), 0
    for world in range(count // DAYS):
        if LIMIT.over():
            break
        try:
            steps += run(seed * 100_000 + world)
        except rules.Broken as error:
            outcome.failures.append(f"world {seed * 100_000 + world}: {error}")
        outcome.n += DAYS
    outcome.figures = {"worlds": outcome.n // DAYS, "events": steps}
    return outcome


def days_with_a_bug(seed: int) -> Outcome:
    with seeded(bugs.named("an upload is registered again")):
        return days(20 * DAYS, seed)


def seeded_bugs(count: int, seed: int) -> Outcome:
    """Each bug has to be found. A share of 5 % may be missed, and is named."""
    chosen = bugs.BUGS[:count]
    finds = {bug.name: find for bug, find in bugs.find_all(chosen, WORLDS)}
    missed = [name for name, find in finds.items() if find is None]
    ways = Counter(find.by.split()[0] for find in finds.values() if find)
    figures = {"found": f"{len(chosen) - len(missed)} of {len(chosen)}", "by worlds": ways["world"]}
    figures |= {"by the test beside it": ways["test"], "missed": "; ".join(missed) or "none"}
    rooms = Counter(bug.room for bug in chosen)
    figures["rooms"] = ", ".join(f"{room} {number}" for room, number in sorted(rooms.items()))
    enough = len(chosen) - len(missed) >= bugs.SHARE * len(chosen)
    return Outcome(len(chosen), figures, [] if enough else missed)


def no_bug(seed: int) -> Outcome:
    """Red if a change that changes nothing is not found: the worlds do not simply break."""
    find = bugs.in_worlds(NO_BUG, 10)
    return Outcome(1, failures=["not found, as it has to be"] if find is None else [])


# ---- storage events


def events(count: int, seed: int) -> Outcome:
    """count: events that are delivered, three times at most, in any order; some never, which the looks make up for."""
    outcome, rng, missing = Outcome(0), random.Random(seed), 0
    with replaced((candidate, "check_model", checked_once({}))):
        while outcome.n < count and not LIMIT.over():
            lost = rng.random() < LOST
            schedule = [key for key in test_events.OBJECTS for _ in range(1 + rng.randrange(0 if lost else 1, 4))]
            rng.shuffle(schedule)
            number = len(schedule) - len(test_events.OBJECTS)
            store = test_events.announced()
            try:
                expected = test_events.carried_out(store, schedule)
                if lost:
                    missing += 1
                    age(store, "", 3600)
                    _look_twice(Log(store))
                else:
                    test_events.as_expected(store, expected)
            except AssertionError as error:
                outcome.failures.append(f"schedule at event {outcome.n}: {error}"[:300])
            outcome.n += number
    outcome.figures = {"worlds in which some never came": missing}
    return outcome


def _look_twice(log: Log) -> None:
    for _ in range(2):
        pipeline.check_unfinished(log, test_events.CONFIG, Limits())
    latest = {model: log.read(model).latest for model in ("a", "b", "c")}
    assert latest == {"a": 3, "b": 1, "c": 2}, f"after the looks: {latest}"
    states = {model: [v.upload for _, v in sorted(log.read(model).versions.items())] for model in ("a", "b")}
    test_events.as_expected(log.store, states)


def events_count_twice(seed: int) -> Outcome:
    from shared.registry import versions
    from shared.uploads import states

    newest = lambda log, head, upload: head.versions.get(head.latest)  # noqa: E731 - a broken one, of one line
    with replaced((states, "FINAL", ()), (versions, "of_upload", newest)):
        return events(200, seed)
