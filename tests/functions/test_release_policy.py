"""The release policy of an alias over HTTP: what may be said, and what is answered."""

from __future__ import annotations

from typing import Any

import pytest

from shared.registry import approvals
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.functions.test_registry import ask
from tests.registry.conftest import BOB, push

POLICY = "/models/m/aliases/production/policy"
DEFAULTS = {
    "steps": [5, 25, 50, 100],
    "bake_minutes": 30,
    "least_requests": 200,
    "tolerated_loss": 0.01,
    "alpha": 0.01,
    "abort": True,
    "promote": False,
    "metrics": ["server_errors"],
}


@pytest.fixture(autouse=True)
def model(store: MemoryStore) -> None:
    push(Log(store), "m", 2)


def test_what_is_not_said_stays() -> None:
    first = ask("PUT", POLICY, {"release": {}})
    assert first["release"] == DEFAULTS and first["protected"] and not first["two_person"]
    assert ask("PUT", POLICY, {"two_person": True})["release"] == DEFAULTS
    assert ask("PUT", POLICY, {"release": {"alpha": 0.001}})["two_person"]
    shown = ask("GET", "/models/m")["policies"]["production"]
    assert shown["release"] == DEFAULTS | {"alpha": 0.001}
    kinds = [
        (one["kind"], one["policies"]["production"].get("release"))
        for one in ask("GET", "/models/m/history")["records"][:3]
    ]
    assert kinds == [("policy", shown["release"]), ("policy", DEFAULTS), ("policy", DEFAULTS)]
    assert "release" not in ask("PUT", POLICY, {"release": None})


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ({"steps": [25, 5, 100]}, "must rise and end with 100"),
        ({"steps": [5, 5, 100]}, "must rise"),
        ({"steps": [5, 50]}, "end with 100"),
        ({"steps": []}, "steps"),
        ({"steps": [0, 100]}, "steps"),
        ({"steps": [5, 101]}, "steps"),
        ({"bake_minutes": 0}, "bake_minutes"),
        ({"least_requests": 0}, "least_requests"),
        ({"tolerated_loss": 0}, "tolerated_loss"),
        ({"tolerated_loss": 0.9}, "tolerated_loss"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": 0.5}, "alpha"),
        ({"metrics": []}, "metrics"),
        ({"metrics": ["luck"]}, "metrics"),
        ({"metrics": ["slow", "slow"]}, "once"),
        ({"delta": 0.01}, "delta"),
        (True, "release"),
    ],
)
def test_what_cannot_be(release: Any, words: str) -> None:
    assert words in ask("PUT", POLICY, {"release": release}, 400)["error"]


def test_two_persons_let_it_go_on(store: MemoryStore) -> None:
    ask("PUT", POLICY, {"two_person": True})
    rules = {"release": {"promote": True}}
    assert "policy/requests" in ask("PUT", POLICY, rules, 409)["error"]
    asked = ask("POST", POLICY + "/requests", rules, 201)
    assert asked["two_person"] and asked["release"]["promote"]
    waiting = ask("GET", "/models/m")["requests"][0]
    assert waiting["policy"]["release"]["promote"]
    approvals.approve(Log(store), "m", asked["request"], BOB)
    assert ask("GET", "/models/m")["policies"]["production"]["release"]["promote"]
