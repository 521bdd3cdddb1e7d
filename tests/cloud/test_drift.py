"""Drift on the running cloud: turned pictures are seen by the function that looks each hour, and others are not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from local.settings import ROOT
from tests.cloud.conftest import Cloud
from tests.cloud.running import resource, until
from training.data.named import fashion_mnist
from training.options import CACHE

pytestmark = pytest.mark.cloud
PACKAGE = ROOT / "layers" / "models" / "fashion-mnist"
CALLS, TOGETHER = 16, 32  # calls, and pictures in each
Change = Callable[[np.ndarray], np.ndarray]


def published(cloud: Cloud, model: str) -> dict[str, Any]:
    files = {path.name: path.read_bytes() for path in PACKAGE.iterdir()}
    assert cloud.upload(model, files)["version"] == 1
    assert cloud.api.put(f"/models/{model}/aliases/production", json={"version": 1}).status_code == 200
    preprocess: dict[str, Any] = json.loads(files["amaas.json"])["preprocess"]
    return preprocess


def call(cloud: Cloud, model: str, plan: dict[str, Any], pixels: np.ndarray) -> None:
    values = (pixels.transpose(0, 3, 1, 2) * plan["scale"] - plan["mean"][0]) / plan["std"][0]
    name = json.loads((PACKAGE / "amaas.json").read_text())["inputs"][0]["name"]
    tensor = {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
    answer = cloud.api.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text


def counted(cloud: Cloud, model: str) -> int:
    return sum(one["requests"] for one in cloud.api.get(f"/models/{model}/stats").json()["sums"])


@pytest.mark.parametrize(
    ("model", "change", "state"),
    [("upright", lambda pixels: pixels, "quiet"), ("turned", lambda pixels: np.rot90(pixels, axes=(1, 2)), "drift")],
)
def test_turned_pictures_are_another_distribution(cloud: Cloud, model: str, change: Change, state: str) -> None:
    plan, pictures = published(cloud, model), change(fashion_mnist.load(CACHE)["test"][0])
    parts = iter(np.split(pictures, range(TOGETHER, len(pictures), TOGETHER)))
    for _ in range(CALLS):
        call(cloud, model, plan, next(parts))

    def seen() -> bool:
        call(cloud, model, plan, next(parts))  # a process writes once a minute at most, after a call
        return counted(cloud, model) >= CALLS

    until(seen)
    [asked] = cloud.api.get(f"/models/{model}/drift").json()["versions"]
    assert asked["state"] == state, asked
    assert asked["severity"] == ("major" if state == "drift" else "none"), asked
    next_hour = int(time.time() // 3600 + 1) * 60  # the function looks at whole hours
    event = json.dumps({"drift": True, "minute": next_hour})
    reply = cloud.aws("lambda").invoke(FunctionName=resource(cloud, "WatchFunction"), Payload=event)
    report = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, report
    assert ([model, 1, "day"] in report["drifted"]) == (state == "drift"), report
