"""Whatever is asked of a registry, and whatever fails meanwhile, it is in the state that the specification gives.

Hypothesis makes up sequences of calls. In each call, one storage call may fail before its effect, or after it (a lost
reply), or the process may die there; then the caller repeats the call with the same request id, as the client does, or
gives up and finds out what became of it. Between calls, cached heads get lost, old, damaged and exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from shared import keys
from shared.errors import Unavailable
from shared.registry import catalog, verify
from shared.registry.log import Log
from shared.registry.state import Target
from shared.storage.base import AlreadyExists
from shared.storage.memory import MemoryStore
from tests.failing import Call, Crash, FailingStore, Fault
from tests.proofs import model
from tests.proofs.stores import copy_of
from tests.proofs.world import NAME, carry_out, state
from tests.registry.conftest import push

# stand for versions that there are; 9 for one that there is not
NUMBERS = st.sampled_from([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 9])
ALIASES = st.sampled_from(["production", "production", "canary", "blue"])
SPLITS = st.dictionaries(NUMBERS, st.integers(1, 99), min_size=1, max_size=3)
TARGETS = st.tuples(NUMBERS.map(lambda n: {n: 1}) | SPLITS, st.none() | st.none() | NUMBERS)
TAGS = st.sampled_from([(), ("a",), ("a", "b")])
WHO = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from([True] * 5 + [False]))
KINDS = ["error before", "lost reply after", "crash before", "crash after"]
# which storage call of an operation fails and how, and whether its caller repeats it
TROUBLES = st.none() | st.tuples(
    st.sampled_from([1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9]), st.sampled_from(KINDS), st.booleans()
)
DAMAGES = st.sampled_from(["lost", "garbage", "half", "old", "of another model"])


class Registry(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        push(Log(self.store), "other", 2)
        self.expected = model.State()
        self.carried_out: list[tuple[tuple, str, Any]] = []
        self.heads: list[bytes] = []
        self.asked = 0
        for upload in range(1, 4):
            self.ask(("register", f"upload-{upload}"), ("ann", True), None)

    # ---- calls

    def real(self, number: int) -> int:
        first, latest = self.expected.first, self.expected.latest
        return latest + 1 if number == 9 else first + number % (latest - first + 1)

    def named(self, to: tuple[dict[int, int], int | None]) -> str:
        split, shadow = to
        weights = {self.real(number): weight for number, weight in split.items()}
        return str(Target.of(weights, None if shadow is None else self.real(shadow)))

    def ask(self, call: tuple, who: tuple[str, bool], trouble: tuple[int, str, bool] | None) -> None:
        self.asked += 1
        asked, request_id = (call, *who), f"request-{self.asked}"
        after, answer = model.apply(self.expected, asked)
        failing = FailingStore(self.store, planned(trouble))
        try:
            given, _ = carry_out(Log(failing, on_commit=catalog.compact_sometimes), asked, request_id)
        except (Unavailable, Crash):
            assert trouble is not None
            if not trouble[2]:
                self.find_out(after)
                return
            given, _ = carry_out(Log(self.store), asked, request_id)
        assert given == answer
        if after != self.expected:
            self.carried_out.append((asked, request_id, answer))
        self.expected = after

    def find_out(self, after: model.State) -> None:
        """A caller who got no answer and gave up: the call took effect or did not."""
        present = state(Log(self.store), Log(self.store).read(NAME))
        assert present in (self.expected, after)
        self.expected = after if present == after else self.expected

    @rule(upload=st.integers(1, 8), who=WHO, trouble=TROUBLES)
    def register(self, upload: int, who: Any, trouble: Any) -> None:
        """Of few uploads: most come again, also after the model was deleted."""
        self.ask(("register", f"upload-{upload}"), who, trouble)

    @rule(alias=ALIASES, to=TARGETS, who=WHO, trouble=TROUBLES)
    def move(self, alias: str, to: Any, who: Any, trouble: Any) -> None:
        self.ask(("move", alias, self.named(to)), who, trouble)

    @rule(alias=ALIASES, version=st.none() | NUMBERS, who=WHO, trouble=TROUBLES)
    def rollback(self, alias: str, version: int | None, who: Any, trouble: Any) -> None:
        self.ask(("rollback", alias, version and self.real(version)), who, trouble)

    @rule(alias=st.sampled_from(["canary", "blue"]), who=WHO, trouble=TROUBLES)
    def unalias(self, alias: str, who: Any, trouble: Any) -> None:
        self.ask(("unalias", alias), who, trouble)

    @rule(alias=ALIASES, protected=st.booleans(), two=st.booleans(), who=WHO, trouble=TROUBLES)
    def policy(self, alias: str, protected: bool, two: bool, who: Any, trouble: Any) -> None:
        self.ask(("policy", alias, protected, two), who, trouble)

    @rule(alias=ALIASES, protected=st.booleans(), who=WHO, trouble=TROUBLES)
    def free(self, alias: str, protected: bool, who: Any, trouble: Any) -> None:
        self.ask(("free", alias, protected), who, trouble)

    @rule(alias=ALIASES, to=TARGETS, who=WHO, trouble=TROUBLES)
    def request(self, alias: str, to: Any, who: Any, trouble: Any) -> None:
        self.ask(("request", alias, self.named(to)), who, trouble)

    @precondition(lambda self: self.expected.requests)
    @rule(which=st.integers(0, 3), kind=st.sampled_from(["approve", "approve", "reject"]), who=WHO, trouble=TROUBLES)
    def settle(self, which: int, kind: str, who: Any, trouble: Any) -> None:
        known = [*sorted(self.expected.requests), 99]
        self.ask((kind, known[which % len(known)]), who, trouble)

    @rule(kind=st.sampled_from(["retire", "retire", "restore"]), version=NUMBERS, who=WHO, trouble=TROUBLES)
    def use(self, kind: str, version: int, who: Any, trouble: Any) -> None:
        self.ask((kind, self.real(version)), who, trouble)

    @rule(tags=TAGS, who=WHO, trouble=TROUBLES)
    def edit(self, tags: tuple[str, ...], who: Any, trouble: Any) -> None:
        self.ask(("edit", tags), who, trouble)

    @precondition(lambda self: self.asked % 4 == 0)  # a deleted model refuses nearly everything: seldom is enough
    @rule(who=WHO, trouble=TROUBLES)
    def delete(self, who: Any, trouble: Any) -> None:
        self.ask(("delete",), who, trouble)

    @precondition(lambda self: self.expected.deleted or self.asked % 4 == 0)
    @rule(who=WHO, trouble=TROUBLES)
    def undelete(self, who: Any, trouble: Any) -> None:
        self.ask(("undelete",), who, trouble)

    @precondition(lambda self: self.carried_out)
    @rule(data=st.data())
    def come_again(self, data: st.DataObject) -> None:
        """A request id that was carried out does nothing again, whatever happened since, and has the same answer."""
        asked, request_id, answer = data.draw(st.sampled_from(self.carried_out))
        assert carry_out(Log(self.store), asked, request_id)[0] == answer

    # ---- what happens to caches

    @precondition(lambda self: self.heads)
    @rule(damage=DAMAGES, data=st.data())
    def damage(self, damage: str, data: st.DataObject) -> None:
        key = keys.head(NAME)
        bodies: dict[str, Callable[[], bytes]] = {
            "garbage": lambda: b"{]",
            "half": lambda: self.heads[-1][: len(self.heads[-1]) // 2],
            "old": lambda: data.draw(st.sampled_from(self.heads)),
            "of another model": lambda: self.store.get(keys.head("other")).body,
        }
        if damage == "lost":
            self.store.delete(key)
        else:
            self.store.put(key, bodies[damage]())

    @rule(trouble=TROUBLES)
    def compact(self, trouble: Any) -> None:
        try:
            catalog.compact(Log(FailingStore(self.store, planned(trouble))))
        except (Unavailable, Crash):
            assert trouble is not None

    @rule()
    def lose_the_catalog(self) -> None:
        self.store.delete(keys.CATALOG)

    # ---- what always holds

    @invariant()
    def the_state_is_the_specifications(self) -> None:
        log = Log(self.store)
        head = log.read(NAME)
        assert state(log, head) == self.expected
        for where in ("/head.json", "/snapshots/"):
            if where in str(self.store._objects):
                assert Log(copy_of(self.store, without=where)).read(NAME) == head

    @invariant()
    def the_chain_is_intact(self) -> None:
        if self.expected.revision:
            report = verify.verify(Log(self.store), NAME)
            assert (report.problems, report.revision) == ([], self.expected.revision)

    @invariant()
    def the_catalog_knows(self) -> None:
        listed = catalog.list_models(Log(self.store))
        alive = bool(self.expected.uploads) and not self.expected.deleted
        assert (NAME in listed, "other" in listed) == (alive, True)
        assert not alive or listed[NAME].revision == self.expected.revision

    @invariant()
    def what_the_cache_holds_is_kept_for_later(self) -> None:
        if keys.head(NAME) in self.store._objects:
            self.heads = [*self.heads[-9:], self.store.get(keys.head(NAME)).body]


def planned(trouble: tuple[int, str, bool] | None) -> Callable[[Call], Fault | None]:
    if trouble is None:
        return lambda call: None
    number, kind, _ = trouble
    raised: BaseException = Crash(kind) if kind.startswith("crash") else Unavailable(kind)
    fault = Fault(before=raised) if kind.endswith("before") else Fault(after=raised)
    return lambda call: fault if call.number == number else None


def run(examples: int, steps: int, seed: int | None = None) -> None:
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # a counterexample comes as it was found: shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )
    machine = Registry if seed is None else hypothesis.seed(seed)(type("Registry", (Registry,), {}))
    run_state_machine_as_test(machine, settings=limits)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(("examples", "steps"), [(40, 40), pytest.param(2000, 60, marks=pytest.mark.soak)])
def test_any_sequence_of_calls_with_any_fault(examples: int, steps: int) -> None:
    run(examples, steps)


def a_toggle(before: Any, target: Target, back: bool) -> list[Target]:
    return [] if before is None else [*before.trail, before.target.serving]


def twice(log: Log, model: str, revision: int, body: bytes) -> None:
    """Takes an unclear answer for a lost race."""
    log.store.put(keys.changed(model, revision), b"")
    try:
        log.store.put(keys.log_record(model, revision), body, if_absent=True)
    except Unavailable as error:
        raise AlreadyExists(str(error)) from error


BROKEN = {
    "rollback is a toggle": {"shared.registry.fold._trail": a_toggle},
    "request ids are not looked at": {"shared.registry.state.Head.revision_of": lambda head, change: None},
    "a lost reply is a lost race": {
        "shared.registry.log.Log._commit": twice,
        "shared.registry.state.Head.revision_of": lambda head, change: None,
    },
    "a cached head is the truth": {"shared.registry.log.Log._roll_forward": lambda log, head, last=None: head},
    "retired versions may be named": {"shared.registry.state.Head.require_usable": lambda head, number: number},
    "everybody may move everything": {"shared.registry.aliases.require_may_move": lambda head, alias, change: None},
}


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("name", BROKEN)
def test_negative_controls_a_broken_registry_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for what, instead in BROKEN[name].items():
        monkeypatch.setattr(what, instead)
    with pytest.raises(AssertionError):
        run(100, 40)
