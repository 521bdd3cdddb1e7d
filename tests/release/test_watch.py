"""Looks at canaries on a real log: what they move, what they leave alone, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from shared import clock, keys
from shared.registry import aliases, models, verdicts, verify
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Record, Target
from shared.release import watch
from shared.release.counted import Group, Minute
from shared.release.judge import RollBack, Wait
from shared.release.watch import Canary
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push
from tests.registry.later import commit

RULES = ReleasePolicy(bake_minutes=5, least_requests=50, tolerated_loss=0.05, promote=True)


def minute(number: int, bad: int, weight: float = 5, calls: int = 1000) -> Minute:
    """bad: of ten calls of the canary."""
    n = round(calls * weight / 100)
    return Minute(
        number, Group(n, {"server_errors": (n, n * bad // 10)}), Group(calls - n, {"server_errors": (calls - n, 9)})
    )


class Calls:
    """Counts as they would be read: all calls that a canary had since its stage began, by what it does with them."""

    def __init__(self, bad: int = 0) -> None:
        self.bad, self.now, self.read = bad, 0, list[Canary]()
        self.meanwhile: Callable[[], object] = lambda: None

    def at(self, now: int) -> Calls:
        self.now = now
        return self

    def __call__(self, canary: Canary) -> Iterable[Minute]:
        self.read.append(canary)
        self.meanwhile()
        weight = canary.stage.roles.weight
        return [minute(number, self.bad, weight) for number in range(canary.stage.began, self.now)]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock, in minutes."""

    def set_to(minutes: int) -> None:
        monkeypatch.setattr(clock.time, "time", lambda: 60.0 * minutes)

    set_to(1000)
    return set_to


@pytest.fixture
def log(time: Callable[[int], None]) -> Log:
    log = Log(MemoryStore())
    for name in ("m", "other"):
        push(log, name, 3)
        aliases.set_policy(log, name, "production", None, ANN, RULES)
        aliases.move(log, name, "production", Target.of({1: 95, 2: 5}), ANN)
    return log


def target(log: Log, model: str = "m") -> str:
    return str(models.get(log, model).aliases["production"].target)


def looks(log: Log, calls: Calls, time: Callable[[int], None], until: int) -> list[str]:
    """The targets of the alias, as a look each minute leaves them."""
    targets = [target(log)]
    for now in range(1000, until):
        time(now)
        calls.now = now
        watch.look(log, calls, now)
        if target(log) != targets[-1]:
            targets.append(target(log))
    return targets


def test_a_good_version_goes_from_five_to_a_hundred(log: Log, time: Callable[[int], None]) -> None:
    targets = looks(log, Calls(), time, 1060)
    assert targets == ["1: 95, 2: 5", "1: 75, 2: 25", "1: 50, 2: 50", "2"]
    assert verify.verify(log, "m").verified
    records, _ = models.history(log, "m", models.get(log, "m").revision)
    assert [record.kind for record in records[:3]] == ["step"] * 3
    assert records[0].evidence.carried == records[1].evidence.log_e_worse != 0


def test_a_worse_version_is_rolled_back_once(log: Log, time: Callable[[int], None]) -> None:
    assert looks(log, Calls(bad=3), time, 1010) == ["1: 95, 2: 5", "1"]
    records, _ = models.history(log, "m", models.get(log, "m").revision)
    assert "version 2 is worse than version 1: server errors in 15 of 50 calls" in records[0].reason
    assert records[1].kind == "alias"


def test_a_version_that_breaks_on_the_way_goes_back_to_the_start(log: Log, time: Callable[[int], None]) -> None:
    calls = Calls()
    assert looks(log, calls, time, 1009)[-1] == "1: 75, 2: 25"
    calls.bad = 10
    assert looks(log, calls, time, 1030)[-1] == "1"


def test_what_is_not_watched_is_not_counted(log: Log) -> None:
    calls = Calls()
    aliases.move(log, "m", "staging", Target.of({1: 1, 2: 1}), ANN)  # without a policy
    aliases.set_policy(log, "m", "plain", None, ANN, RULES)
    aliases.move(log, "m", "plain", Target(version=3), ANN)
    watch.look(log, calls, 1000)
    assert [(one.model, one.alias) for one in calls.read] == [("m", "production"), ("other", "production")]


def test_without_calls_it_waits_and_says_so(log: Log) -> None:
    ((_, _, verdict, _), _) = watch.look(log, lambda canary: [], 2000)
    assert isinstance(verdict, Wait) and "no calls of version 2 since 1970-01-01T16:40Z" in verdict.reason
    assert target(log) == "1: 95, 2: 5"


def test_a_person_who_moves_the_alias_during_the_verdict_wins(log: Log) -> None:
    calls = Calls(bad=10).at(1010)
    calls.meanwhile = lambda: aliases.move(log, "m", "production", Target(version=3), ANN)
    first, _ = watch.look(log, calls, 1010)
    assert isinstance(first.verdict, RollBack) and first.obstacle.startswith("the alias was moved meanwhile")
    assert target(log) == "3"


def test_a_model_that_is_deleted_during_its_canary(log: Log) -> None:
    calls = Calls(bad=10).at(1010)
    calls.meanwhile = lambda: models.delete(log, "m", ANN) if models.get_with_deleted(log, "m").alive else None
    first, second = watch.look(log, calls, 1010)
    assert first.obstacle == "the alias is gone"
    assert second.obstacle is None
    assert [one.model for one in watch.look(log, calls, 1010)] == []


def test_two_watchers_at_once_make_one_record(log: Log) -> None:
    """The second one looks while the first one has judged, and not yet written."""
    calls = Calls(bad=10).at(1010)
    revision = models.get(log, "m").revision
    done = []

    def also() -> None:
        if not done:
            done.append(True)
            watch.look(log, Calls(bad=10).at(1010), 1010)

    calls.meanwhile = also
    outcomes = watch.look(log, calls, 1010)
    assert [one.obstacle for one in outcomes] == [None]  # `other` was rolled back by then, and is no canary any more
    assert models.get(log, "m").revision == revision + 1
    assert target(log) == target(log, "other") == "1"


def test_one_that_cannot_be_judged_stops_no_other(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls(bad=10).at(1010)

    def counts_of(canary: Canary) -> Iterable[Minute]:
        if canary.model == "m":
            raise RuntimeError("stats/hours/… is damaged")
        return calls(canary)

    first, second = watch.look(log, counts_of, 1010)
    assert (first.verdict, target(log)) == (None, "1: 95, 2: 5")
    assert (second.obstacle, target(log, "other")) == (None, "1")
    assert [(record.message, record.model) for record in caplog.records if record.levelname == "ERROR"] == [
        ("not judged", "m")
    ]


def test_counts_that_cannot_be_are_no_evidence(log: Log) -> None:
    """More bad calls than calls: a damaged object, which is not taken for a bad version."""
    impossible = [Minute(1001, Group(5, {"server_errors": (5, 9)}), Group(95, {"server_errors": (95, 0)}))]
    assert [one.verdict for one in watch.look(log, lambda canary: impossible, 1010)] == [None, None]
    assert target(log) == "1: 95, 2: 5"


def test_clocks_that_differ_change_no_verdict(log: Log) -> None:
    """Minutes are of the processes' clocks: before the stage, or after now. Which stage they are of, `since` says."""
    fast = [minute(number, bad=10) for number in range(5000, 5010)]
    ((_, _, verdict, _), _) = watch.look(log, lambda canary: fast, 1010)
    assert isinstance(verdict, Wait)  # not over yet, by this clock
    slow = [minute(number, bad=10) for number in range(10)]
    assert all(isinstance(one.verdict, RollBack) for one in watch.look(log, lambda canary: slow, 1010))


def test_a_damaged_record_of_the_last_move_is_an_error_and_no_move(log: Log) -> None:
    since = models.get(log, "m").aliases["production"].since
    log.store.put(keys.log_record("m", since), b"damaged")
    first, second = watch.look(log, Calls(bad=10).at(1010), 1010)
    assert first.verdict is None and second.obstacle is None
    assert verdicts.roles(models.get(log, "m").aliases["production"]) is not None


def test_a_later_release_that_wrote_the_model(log: Log) -> None:
    """It is watched, and not moved."""
    commit(log, "m", Record(kind="note", by="later", min_writer=99))
    first, _ = watch.look(log, Calls(bad=10).at(1010), 1010)
    assert first.verdict is None
    assert target(log) == "1: 95, 2: 5"
