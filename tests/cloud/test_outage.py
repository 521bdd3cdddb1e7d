"""The bucket is away from the deployed functions, or behind a bad network: a proxy stands between the two.

The functions of the template run with the proxy as their endpoint; the clients, and the gateway, do not notice it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from shared.package.manifest import Tensor
from shared.registry import aliases
from shared.registry.state import Change, Target
from tests.cloud.conftest import Cloud
from tests.cloud.running import deployed_log, processes, register_past_the_gate, settings, until
from tests.proxy import Proxy, between
from tests.support import linear

pytestmark = pytest.mark.cloud
MODEL = "outage"
FUNCTIONS = ("InferenceFunction", "AuthorizeFunction", "RegistryFunction", "UploadFunction", "BatchFunction")
MAX_STALE = 6  # seconds, where the default is an hour
LONGEST = 29.0  # seconds: Globals in template.yaml; the gateway gives up then, too
ON_THE_WAY = 5.0  # seconds that a busy machine takes from here to the function and back, at most
INPUT = {"inputs": {"x": [[1, 0]]}}
SEED = 20261128


def register(cloud: Cloud, model: str, value: float) -> int:
    """A version that answers INPUT with the value."""
    inputs, outputs = [Tensor("x", "FP32", [-1, 2])], [Tensor("y", "FP32", [-1, 1])]
    return register_past_the_gate(cloud, model, linear([[value], [0.0]]), inputs, outputs).version


def move(cloud: Cloud, version: int) -> None:
    """By somebody who can reach the bucket."""
    aliases.move(deployed_log(cloud), MODEL, "production", Target(version=version), Change(by="ann"))


@pytest.fixture(scope="module")
def proxy(cloud: Cloud) -> Iterator[Proxy]:
    for value in (1.0, 2.0):
        register(cloud, MODEL, value)
    move(cloud, 1)
    with between(cloud.access["endpoint_url"]) as proxy, ExitStack() as stack:
        for function in FUNCTIONS:
            more = {"MAX_STALE_SECONDS": str(MAX_STALE)} if function == "InferenceFunction" else {}
            stack.enter_context(settings(cloud, function, AWS_ENDPOINT_URL=proxy.url, **more))
        yield proxy
        proxy.trouble("pass")


# functions that callers wait for. Others are started by events and by schedule, meanwhile, too, and raise, so as to be
# called again: the embedded cloud ends a process whose handler has raised, as Lambda does not
CALLED = ("Authorize", "Inference", "Registry", "Upload", "BatchFunction", "Tokens")


class Caller:
    """Calls of the API; each answer has to come before the function's time is over, and be its own."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.longest = 0.0
        self.statuses: list[int] = []

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        begun = time.monotonic()
        answer = self._cloud.api.request(method, path, **options)
        self.longest = max(self.longest, time.monotonic() - begun)
        self.statuses.append(answer.status_code)
        assert answer.status_code not in (500, 502, 504), f"{method} {path}: {answer.status_code} {answer.text}"
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) >= 1
        assert self.longest < LONGEST + ON_THE_WAY
        return answer

    def predict(self, reference: str | None = None, model: str = MODEL) -> tuple[float | None, int | None]:
        """The value, None for a 503; and what the answer says of its age."""
        version = f"/versions/{reference}" if reference else ""
        answer = self.send("POST", f"/models/{model}{version}/predict", json=INPUT)
        stale = answer.headers.get("x-amaas-stale")
        if answer.status_code == 503:
            return None, None
        assert answer.status_code == 200, answer.text
        return answer.json()["outputs"]["y"][0][0], None if stale is None else int(stale)

    def move(self, version: int, reason: str) -> None:
        """Repeated with its key until it is answered."""
        path, body = f"/models/{MODEL}/aliases/production", {"version": version, "reason": reason}
        key = {"Idempotency-Key": reason.replace(" ", "-")}
        until(lambda: self.send("PUT", path, json=body, headers=key).status_code == 200)


@pytest.fixture
def caller(cloud: Cloud, proxy: Proxy) -> Caller:
    """With all that it calls loaded, in one process per function."""
    proxy.trouble("pass")
    move(cloud, 1)
    caller = Caller(cloud)
    until(lambda: caller.predict() == (1.0, None))
    for reference in ("1", "2"):
        assert caller.predict(reference) == (float(reference), None)
    assert caller.send("GET", f"/models/{MODEL}").status_code == 200
    return caller


def others_are_refused(caller: Caller) -> None:
    """While the bucket is away: what needs it, within the time of a function."""
    assert caller.send("GET", f"/v2/models/{MODEL}/versions/2/ready").json()["ready"] is True
    for method, path, body in (
        ("GET", f"/v2/models/{MODEL}/ready", None),
        ("POST", "/models/never-loaded/predict", INPUT),
        ("GET", f"/models/{MODEL}", None),
        ("PUT", f"/models/{MODEL}/aliases/production", {"version": 2}),
        ("POST", f"/models/{MODEL}/uploads", {"files": [{"name": "model.onnx", "size": 9}]}),
        ("POST", f"/models/{MODEL}/batch", {"files": [{"name": "a.json", "size": 9}]}),
    ):
        assert caller.send(method, path, json=body).status_code == 503, path


@pytest.mark.parametrize("mode", ["refuse", "stall"])
def test_what_is_loaded_goes_on_while_the_bucket_is_away(cloud: Cloud, proxy: Proxy, caller: Caller, mode: str) -> None:
    before = processes(cloud)
    proxy.trouble(mode)
    by_alias, by_number, described = [], [], []
    begun = time.monotonic()
    while time.monotonic() - begun < MAX_STALE + 4:
        by_alias.append(caller.predict())
        by_number.append(caller.predict("2"))
        metadata = caller.send("GET", f"/v2/models/{MODEL}")
        described.append((metadata.status_code, metadata.headers.get("x-amaas-stale")))
        time.sleep(0.1)

    assert {value for value, _ in by_alias} == {1.0, None}, "the last known state, and then a 503"
    ended = [value for value, _ in by_alias].index(None)
    assert all(value is None for value, _ in by_alias[ended:])
    stale = [seconds for _, seconds in by_alias if seconds is not None]
    assert 2 <= max(stale) <= MAX_STALE and stale == sorted(stale)
    assert {value for value, _ in by_number} == {2.0}, "a version is immutable"
    assert max(seconds for _, seconds in by_number if seconds is not None) > MAX_STALE
    assert {status for status, _ in described} == {200, 503}
    assert all(int(seconds) <= MAX_STALE for _, seconds in described if seconds)

    others_are_refused(caller)
    move(cloud, 2)
    proxy.trouble("pass")
    back = time.monotonic()
    until(lambda: caller.predict() == (2.0, None), LONGEST)
    recovery = time.monotonic() - back
    assert caller.send("GET", f"/models/{MODEL}").json()["aliases"]["production"]["version"] == 2
    ended_names = {before[pid] for pid in before.keys() - processes(cloud).keys()}
    waited_for = {name for name in ended_names for called in CALLED if called in name}
    assert waited_for == set(), "no call outlives its function, which would end the process"
    print(f"{len(caller.statuses)} calls, longest {caller.longest:.1f} s, back in {recovery:.1f} s")


def test_negative_control_a_process_that_has_loaded_nothing_cannot_answer(
    cloud: Cloud, proxy: Proxy, caller: Caller
) -> None:
    proxy.trouble("pass")
    register(cloud, "outage-unloaded", 3.0)
    proxy.trouble("refuse")
    assert caller.predict("1", "outage-unloaded") == (None, None)
    proxy.trouble("pass")
    until(lambda: caller.predict("1", "outage-unloaded") == (3.0, None))


def test_a_second_of_slow_down_is_not_seen(cloud: Cloud, proxy: Proxy, caller: Caller) -> None:
    """Each second call loads a model that is new to its process."""
    models = [f"outage-burst-{n}" for n in range(5)]
    for number, model in enumerate(models):
        register(cloud, model, float(number))
    hits: list[int] = []

    def end() -> None:
        hits.append(proxy.hits)
        proxy.trouble("pass")

    for number, model in enumerate(models):
        time.sleep(2.1)  # the alias is remembered no longer
        proxy.trouble("slow_down")
        burst = threading.Timer(1.0, end)
        burst.start()
        assert caller.predict("1", model) == (float(number), None)
        assert caller.predict()[0] == 1.0
        assert caller.send("GET", f"/models/{MODEL}").status_code == 200
        announced = {"files": [{"name": "model.onnx", "size": 9}]}
        assert caller.send("POST", f"/models/{MODEL}/uploads", json=announced).status_code == 201
        burst.join()
    assert 503 not in caller.statuses
    assert min(hits) > 0


BAD_NETWORK = [
    "half_close",
    "truncate",
    *(pytest.param(mode, marks=pytest.mark.soak) for mode in ("refuse", "delay", "internal_error")),
]


@pytest.mark.parametrize("mode", BAD_NETWORK)
def test_a_bad_network_gives_no_wrong_answer(cloud: Cloud, proxy: Proxy, caller: Caller, mode: str) -> None:
    """A third of all requests to the bucket meet it: loads, refreshed aliases, transitions."""
    chance = random.Random(f"{SEED} {mode}")
    models = {f"outage-{mode.replace('_', '-')}-{n}": float(chance.randrange(1000)) for n in range(6)}
    for model, value in models.items():
        register(cloud, model, value)
    revision = cloud.api.get(f"/models/{MODEL}").json()["revision"]
    proxy.cut = chance.choice((0, 60, 400))
    proxy.trouble(mode, share=0.33, seed=SEED)
    for number, (model, value) in enumerate(models.items()):
        assert caller.predict("1", model)[0] in (value, None)
        caller.move(2 - number % 2, f"{mode} {number}")
        assert caller.predict()[0] in (1.0, 2.0, None)
        assert caller.predict("2")[0] == 2.0
    hits = proxy.hits
    proxy.trouble("pass")
    assert hits > 0
    for model, value in models.items():
        until(lambda model=model, value=value: caller.predict("1", model) == (value, None))  # type: ignore[misc]
    records = cloud.api.get(f"/models/{MODEL}/history", params={"limit": 200, "verify": True}).json()
    assert records["verified"] is True
    reasons = [record["reason"] for record in records["records"] if record["revision"] > revision]
    assert reasons == [f"{mode} {number}" for number in reversed(range(len(models)))], "each move once, in order"
    unanswered = caller.statuses.count(503)
    print(f"{hits} requests hit, {len(caller.statuses)} calls, {unanswered} of them 503")
