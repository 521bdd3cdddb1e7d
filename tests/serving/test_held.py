"""What is held for models and calls: nothing of a refused call, and a process for each model."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

import functions.inference.app as inference
from shared.registry import versions
from shared.registry.log import Log
from shared.registry.state import Change
from shared.serving.models import Models
from tests.serving.test_wall import log, models
from tests.support import caller, load_event

__all__ = ["log", "models"]  # fixtures


def test_what_refused_calls_held_is_not_kept(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "models", lambda: models)
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": "/v2/models/memory/infer"}
    given = {"name": "shape", "shape": [1], "datatype": "INT64", "data": [20 * 10**6]}
    event |= {"headers": {}, "isBase64Encoded": False, "queryStringParameters": None}
    event |= {"body": json.dumps({"inputs": [given]})}
    event["requestContext"]["authorizer"] = caller("infer")
    gc.collect()
    gc.disable()
    try:
        sizes = []
        for _ in range(3):
            assert inference.handler(event, None)["statusCode"] == 413
            sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    finally:
        gc.enable()
    assert sizes[-1] - sizes[0] < 40 << 20, "an answer has 80 MB"


def test_two_models_of_the_same_bytes_have_a_process_each(log: Log) -> None:
    models = Models(log, ttl=60, capacity=10**9)
    version = log.version(log.read("good"), 1)
    versions.register(log, "twin", replace(version, version=0, upload="twin"), Change(by="test"))
    pids = {models.load(name, None).session.pid for name in ("good", "twin")}  # type: ignore[attr-defined]
    assert len(pids) == 2
