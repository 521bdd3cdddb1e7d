"""What callers were answered is what happened: a call that was answered took effect, and has one answer."""

from __future__ import annotations

from shared.registry.log import Log
from shared.registry.state import Head, Record, Target
from tests.simulation.actors import Call, Notebook, Transition
from tests.simulation.rules import require


def check(notebook: Notebook, log: Log) -> None:
    """Raises Broken."""
    for transition in notebook.transitions:
        if transition.answer.status < 300:
            _took_effect(transition, log)
    for transition, again in notebook.replays:
        first = transition.answer
        require(
            (again.status, again.json) == (first.status, first.json),
            "a repeated call has the first answer",
            transition.call,
            first.status,
            first.body,
            again.status,
            again.body,
        )


def _took_effect(transition: Transition, log: Log) -> None:
    """The record of the revision that was answered is the call's, or nothing had to be done; its state is as asked."""
    call, revision = transition.call, transition.answer.json["revision"]
    model = call.path.split("/")[2]
    head, records = log.read(model), log.records(model, revision, revision)
    require(bool(records), "an answered call is in the log", call, revision)
    own, state = _is_of(records[0], call), log.state_at(head, revision)
    require(_holds(state, call) and (own or not _moves_on(call)), "an answered call took effect", call, revision, own)


def _moves_on(call: Call) -> bool:
    """A rollback always has a record: there is something before, or it is refused."""
    return call.path.endswith("/rollback")


def _is_of(record: Record, call: Call) -> bool:
    return f"/{call.headers['Idempotency-Key']} {call.method} " in (record.request_id or "")


def _holds(state: Head, call: Call) -> bool:
    """Whether a state is what the call asked for."""
    _, _, _, *rest = call.path.split("/")
    match (call.method, *rest):
        case ("PUT", "aliases", name):
            body = call.body
            split = {int(number): weight for number, weight in body.get("split", {}).items()}
            asked = Target.of(split or {body["version"]: 1})
            return name in state.aliases and state.aliases[name].target == asked
        case ("DELETE", "aliases", name):
            return name not in state.aliases
        case ("POST", "versions", number, "retire"):
            return int(number) in state.retired
        case ("POST", "versions", number, "restore"):
            return int(number) not in state.retired
        case ("PATCH",):
            return state.tags == call.body["tags"]
        case ("DELETE",):
            return state.deleted is not None
        case ("POST", "restore"):
            return state.deleted is None
        case ("POST", "aliases", _, "rollback"):
            return True  # to where it was before, which its record says
    raise AssertionError(call)
