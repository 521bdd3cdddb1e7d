"""The store goes away while models are loaded: they go on answering, say so, and follow what moved when it is back."""

from __future__ import annotations

import numpy as np
import pytest

from functions.authorize import app as authorize
from functions.inference import app as inference
from shared import keys
from shared.access import remembered, tokens
from shared.config import Config
from shared.errors import NotFound
from shared.errors import Unavailable as AnyUnavailable
from shared.registry import aliases, versions
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.serving.models import Models
from shared.storage.base import Unavailable
from shared.storage.memory import MemoryStore
from tests.failing import Call, FailingStore, Fault
from tests.functions.test_access import authorizer_event
from tests.serving.test_models import Clock, publish
from tests.support import call, linear

ANN = Change(by="ann")
HOUR = 3600.0


class World:
    def __init__(self, **options: float) -> None:
        self.memory, self.clock, self.away = MemoryStore(), Clock(), False
        for n in (1, 2):
            publish(self.memory, "m", linear([[float(n)], [0.0]]), f"upload-{n}")
        self.store = FailingStore(self.memory, self._plan)
        self.models = self.process(**options)

    def _plan(self, call: Call) -> Fault | None:
        return Fault(before=Unavailable("the store is out of reach")) if self.away else None

    def process(self, **options: float) -> Models:
        return Models(Log(self.store), ttl=2.0, capacity=10**9, clock=self.clock, **options)

    def run(self, reference: str | None = None) -> tuple[float, int | None]:
        """The model's answer, and how old the state is by which it was chosen."""
        loaded = self.models.load("m", reference)
        answer = loaded.session.run(None, {"x": np.array([[1, 1]], np.float32)})[0][0, 0]
        return float(answer), loaded.stale

    def move(self, version: int) -> None:
        """By somebody who can reach the store."""
        aliases.move(Log(self.memory), "m", "production", Target(version=version), ANN)


@pytest.fixture
def world() -> World:
    return World()


def test_an_alias_goes_on_for_as_long_as_is_said(world: World) -> None:
    assert world.run() == (1.0, None)
    world.away = True
    for now in (1.0, 2.5, 10.0, HOUR - 1, HOUR):
        world.clock.now = now
        assert world.run() == (1.0, None if now < 2 else int(now))
    world.clock.now = HOUR + 1
    with pytest.raises(AnyUnavailable, match="out of reach"):
        world.run()


def test_a_version_by_its_number_goes_on_for_ever(world: World) -> None:
    world.run("2")
    world.away = True
    world.clock.now = 1000 * HOUR
    assert world.run("2") == (2.0, 1000 * 3600)
    assert world.run("2")[0] == 2.0


@pytest.mark.parametrize("limit", [0.0, 10.0])
def test_the_limit_can_be_set(limit: float) -> None:
    world = World(max_stale=limit)
    world.run()
    world.run("1")
    world.away = True
    world.clock.now = 9.0
    if limit:
        assert world.run() == (1.0, 9)
    world.clock.now = 11.0
    with pytest.raises(AnyUnavailable):
        world.run()
    assert world.run("1") == (1.0, 11)


def test_the_first_call_after_it_sees_what_moved(world: World) -> None:
    """A rollback at night, while one process had no network."""
    world.move(2)
    assert world.run() == (2.0, None)
    world.away = True
    world.move(1)
    world.clock.now = 100.0
    assert world.run() == (2.0, 100)
    world.away = False
    assert world.run() == (1.0, None)
    world.away = True
    world.clock.now = 200.0
    assert world.run() == (1.0, 100)


def test_what_was_not_known_is_not_denied(world: World) -> None:
    """A version, an alias or a model may be there by now: 503, and no 404."""
    world.run()
    world.away = True
    for now in (1.0, 50.0):
        world.clock.now = now
        for reference in ("3", "canary"):
            with pytest.raises(AnyUnavailable):
                world.run(reference)
    with pytest.raises(AnyUnavailable):
        world.models.load("another", None)
    world.away = False
    with pytest.raises(NotFound):
        world.run("3")


def test_a_version_that_is_not_loaded_cannot_be(world: World) -> None:
    world.run()
    world.away = True
    world.clock.now = 5.0
    with pytest.raises(AnyUnavailable):
        world.run("2")
    assert world.run() == (1.0, 5)


def test_a_process_that_begins_in_an_outage_knows_nothing(world: World) -> None:
    world.away = True
    world.models = world.process()
    with pytest.raises(AnyUnavailable):
        world.run()


def test_a_retired_version_is_retired_as_soon_as_it_is_known(world: World) -> None:
    world.run("2")
    world.away = True
    versions.retire(Log(world.memory), "m", 2, ANN)
    world.clock.now = 10.0
    assert world.run("2") == (2.0, 10)
    world.away = False
    with pytest.raises(NotFound, match="retired"):
        world.run("2")


def test_a_forged_log_is_no_outage(world: World) -> None:
    world.run()
    world.memory.put(keys.log_record("m", 3), b'{"kind":"alias"}')
    world.clock.now = 10.0
    with pytest.raises(AnyUnavailable, match="damaged"):
        world.run()


def test_over_http(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "models", lambda: world.models)
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]}]}
    fresh = call(inference.handler, "POST", "/v2/models/m/infer", body)
    assert "x-amaas-stale" not in fresh.headers
    world.away = True
    world.clock.now = 60.0
    stale = call(inference.handler, "POST", "/v2/models/m/infer", body)
    assert (stale.status, stale.body, stale.headers["x-amaas-stale"]) == (200, fresh.body, "60")
    world.clock.now = 2 * HOUR
    gone = call(inference.handler, "POST", "/v2/models/m/infer", body)
    assert (gone.status, gone.headers["Retry-After"]) == (503, "1")
    assert call(inference.handler, "GET", "/v2/models/m/ready").headers["Retry-After"] == "1"
    numbered = call(inference.handler, "POST", "/v2/models/m/versions/1/infer", body)
    assert (numbered.status, numbered.headers["x-amaas-stale"]) == (200, "7200")


@pytest.mark.parametrize("route", ["", "/config", "/stats", "/ready"])
def test_what_describes_a_model_says_how_old_it_is(world: World, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    monkeypatch.setattr(inference, "models", lambda: world.models)
    paths = {"alias": f"/v2/models/m{route}", "number": f"/v2/models/m/versions/1{route}"}
    fresh = {name: call(inference.handler, "GET", path) for name, path in paths.items()}
    call(inference.handler, "GET", "/v2/models/m/ready")
    assert all(answer.status == 200 and "x-amaas-stale" not in answer.headers for answer in fresh.values())
    world.away = True
    for seconds, alias_answers in ((60, True), (2 * HOUR, False)):
        world.clock.now = seconds
        alias = call(inference.handler, "GET", paths["alias"])
        number = call(inference.handler, "GET", paths["number"])
        assert alias.status == (200 if alias_answers else 503)
        assert alias.headers.get("x-amaas-stale") == (str(round(seconds)) if alias_answers else None)
        assert alias.headers.get("Retry-After") == (None if alias_answers else "1")
        assert (number.status, number.body) == (200, fresh["number"].body)
        assert number.headers["x-amaas-stale"] == str(round(seconds))
    assert call(inference.handler, "GET", f"/v2/models/another{route}").status == 503
    world.away = False
    assert "x-amaas-stale" not in call(inference.handler, "GET", paths["alias"]).headers


# ---- tokens


class Door:
    """The authorizer, on a store that may be away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 300.0) -> None:
        self.memory, self.clock, self.away = MemoryStore(), Clock(), False
        self.remembered = remembered.Remembered(seconds, self.clock)
        store = FailingStore(self.memory, lambda call: Fault(before=Unavailable("away")) if self.away else None)
        monkeypatch.setattr(authorize, "store", lambda: store)
        monkeypatch.setattr(authorize, "config", lambda: Config(bucket="amaas"))
        monkeypatch.setattr(authorize, "remembered", lambda: self.remembered)

    def let_in(self, secret: str) -> str:
        return str(authorize.handler(authorizer_event(f"Bearer {secret}"), None)["principalId"])


def test_a_token_that_was_valid_is_let_in_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    token, secret = tokens.create(door.memory, "ci", ["infer"])
    _, unseen = tokens.create(door.memory, "late", ["infer"])
    assert door.let_in(secret) == token.id
    door.away = True
    door.clock.now = 299.0
    assert door.let_in(secret) == token.id
    for refused in (unseen, secret[:-1] + ("A" if secret[-1] != "A" else "B")):
        with pytest.raises(Unavailable):
            door.let_in(refused)
    door.clock.now = 300.0
    with pytest.raises(Unavailable):
        door.let_in(secret)


def test_a_revoked_token_is_out_when_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    token, secret = tokens.create(door.memory, "ci", ["infer"])
    door.let_in(secret)
    tokens.revoke(door.memory, token.id)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        door.let_in(secret)
    door.away = True
    with pytest.raises(Unavailable):  # what was refused is remembered no longer
        door.let_in(secret)


def test_an_expired_token_is_out_in_an_outage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    token, secret = tokens.create(door.memory, "ci", ["infer"], expires_in_days=1)
    door.let_in(secret)
    door.away = True
    assert door.let_in(secret) == token.id
    monkeypatch.setattr(remembered.time, "time", lambda: (token.expires_at or 0) + 1)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        door.let_in(secret)


def test_none_is_remembered_where_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, seconds=0.0)
    _, secret = tokens.create(door.memory, "ci", ["infer"])
    door.let_in(secret)
    door.away = True
    with pytest.raises(Unavailable):
        door.let_in(secret)


def test_tokens_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    door = Door(monkeypatch)
    secrets = [tokens.create(door.memory, "ci", ["infer"])[1] for _ in range(3)]
    for secret in (secrets[0], secrets[1], secrets[0], secrets[2]):
        door.let_in(secret)
    door.away = True
    assert door.let_in(secrets[0])
    assert door.let_in(secrets[2])
    with pytest.raises(Unavailable):
        door.let_in(secrets[1])
