"""Canaries end to end, on real traffic of one caller: rolled back with the evidence, or brought on to all calls.

Nobody moves an alias here but the watcher, by its schedule. A process writes what it has counted once a minute, and a
minute is final after one more, so a stage takes two to three minutes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import httpx
import pytest
from onnx import TensorProto, helper

from shared.package.manifest import Tensor
from tests.cloud.conftest import Cloud
from tests.cloud.running import register_past_the_gate, until
from tests.runtime import sessions
from tests.support import linear

pytestmark = pytest.mark.cloud
INTEGERS = [Tensor("x", "INT64", [-1]), Tensor("by", "INT64", [-1])]
PAIRS = [(6, 2), (6, 3), (-(2**63), -1)]  # of which the last one cannot be divided
PATIENCE = 300.0  # seconds for a stage


def adds() -> bytes:
    """What takes the place of `divides` in a version that never fails."""
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.INT64, ["n"]) for name in ("x", "by", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "by"], ["y"])], "adds", ends[:2], ends[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


class Traffic:
    """One caller, with one token, who calls production again and again while the block runs."""

    def __init__(self, cloud: Cloud, model: str, bodies: list[dict[str, Any]]) -> None:
        self._cloud, self._path, self._bodies = cloud, f"/v2/models/{model}/infer", bodies
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self.answered: Counter[tuple[str, int]] = Counter()  # by version and status

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._thread.join()

    def _call(self) -> None:
        headers = {"Authorization": f"Bearer {self._cloud.access['token']}"}
        with httpx.Client(base_url=self._cloud.access["api_url"], headers=headers, timeout=60) as client:
            number = 0
            while not self._stop.is_set():
                answer = client.post(self._path, json=self._bodies[number % len(self._bodies)])
                version = str(answer.json().get("model_version")) if answer.status_code == 200 else "?"
                self.answered[version, answer.status_code] += 1
                number += 1
                time.sleep(0.02)


def alias(cloud: Cloud, model: str) -> dict[str, Any]:
    state: dict[str, Any] = cloud.api.get(f"/models/{model}").json()["aliases"]["production"]
    return state


def released(cloud: Cloud, model: str, policy: dict[str, Any], split: dict[str, int]) -> None:
    path = f"/models/{model}/aliases/production"
    assert cloud.api.put(f"{path}/policy", json={"release": policy}).status_code == 200
    assert cloud.api.put(path, json={"split": split}).status_code == 200


def test_a_version_that_fails_for_some_inputs_is_rolled_back_by_real_traffic(cloud: Cloud) -> None:
    """Version 2 divides, and dies of each third input: as if the gate had let it through."""
    model = "worse"
    register_past_the_gate(cloud, model, adds(), INTEGERS, [Tensor("y", "INT64", [-1])])
    register_past_the_gate(cloud, model, sessions.divides(), INTEGERS, [Tensor("y", "INT64", [-1])])
    bodies = [
        {
            "inputs": [
                {"name": "x", "shape": [1], "datatype": "INT64", "data": [x]},
                {"name": "by", "shape": [1], "datatype": "INT64", "data": [by]},
            ]
        }
        for x, by in PAIRS
    ]
    released(cloud, model, {"steps": [10, 50, 100]}, {"1": 90, "2": 10})
    release = f"/models/{model}/aliases/production/release"
    assert cloud.api.get(release).json()["stage"]["canary"] == 2
    with Traffic(cloud, model, bodies) as traffic:
        until(lambda: alias(cloud, model)["version"] == 1 and not alias(cloud, model).get("split"), PATIENCE)
        time.sleep(4)  # beyond the alias' time to live, and what was under way
        failed = traffic.answered["?", 503]
        time.sleep(2)
    assert traffic.answered["?", 503] == failed > 0, "nobody fails once it is back"
    history = cloud.api.get(f"/models/{model}/history?verify=true").json()
    record = history["records"][0]
    assert history["verified"] is True
    assert (record["kind"], record["by"], record["aliases"]) == ("rollback", "watcher", {"production": 1})
    evidence = record["evidence"]["metrics"]["server_errors"]
    assert 0 < evidence["canary_bad"] < evidence["canary"] < evidence["stable"] and evidence["stable_bad"] == 0
    assert "version 2 is worse than version 1: server errors in" in record["reason"]
    state = cloud.api.get(release).json()
    assert (state["verdict"], "there is no canary" in state["reason"]) == (None, True)
    costs = cloud.api.get(f"/models/{model}/cost").json()
    assert {one["version"] for one in costs["versions"]} == {1, 2} and costs["sum"]["answers"] < costs["sum"][
        "requests"
    ]


@pytest.mark.soak
def test_a_good_version_goes_from_five_percent_to_all_calls_by_its_policy(cloud: Cloud) -> None:
    model = "better"
    for weight in (1.0, 2.0):
        assert cloud.upload(model, {"model.onnx": linear([[weight]])})["state"] == "registered"
    policy = {"promote": True, "bake_minutes": 1, "least_requests": 5, "tolerated_loss": 0.5, "alpha": 0.1}
    released(cloud, model, policy, {"1": 95, "2": 5})
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}]}
    with Traffic(cloud, model, [body]) as traffic:
        until(lambda: alias(cloud, model)["version"] == 2 and not alias(cloud, model).get("split"), 3 * PATIENCE)
    assert {status for _, status in traffic.answered} == {200}
    history = cloud.api.get(f"/models/{model}/history?verify=true").json()
    assert history["verified"] is True
    steps = [record for record in history["records"] if record["kind"] == "step"]
    weights = [record["aliases"]["production"] for record in reversed(steps)]
    assert [one["split"] for one in weights[:-1]] == [{"1": 75, "2": 25}, {"1": 50, "2": 50}] and weights[-1] == 2
    assert {(record["by"], record["evidence"]["verdict"]) for record in steps} == {("watcher", "no-loss")}
