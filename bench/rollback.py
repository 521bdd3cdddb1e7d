"""How long a rollback takes to be seen: warm instances of the inference function answer in a loop while the registry
function rolls the alias back. Real clock, the shipped TTL, everything on an S3 server."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from bench import gateway, serving
from bench.subjects import fine
from functions.inference import app as inference
from shared.config import Config
from shared.registry import versions
from shared.registry.log import Log
from shared.registry.state import Act
from shared.serving.models import Models
from shared.storage.s3 import S3Store

TTL = Config(bucket="").alias_ttl
PAUSE = 0.004  # seconds between two calls of an instance, so that several share two cores
ALIAS = f"/models/{serving.MODEL}/aliases/production"
PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    asked: float
    answered: float
    version: int


@dataclass
class Instance:
    """A warm instance, in a thread of its own, with a store and a log of its own."""

    models: Models
    here: threading.local
    stop: threading.Event
    answers: list[Answer] = field(default_factory=list)
    problem: str = ""

    def run(self) -> None:
        self.here.models = self.models
        infer = _infer()
        try:
            while not self.stop.is_set():
                asked = time.monotonic()
                reply = inference.handler(infer, None)
                fine((reply["statusCode"], reply["body"].encode()))
                self.answers.append(Answer(asked, time.monotonic(), int(reply["headers"]["x-amaas-version"])))
                self.stop.wait(PAUSE)
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"


def measure(endpoint: str, instances: int, rollbacks: int) -> dict[str, Any]:
    """Seconds from the rollback's answer to each instance's first answer of the old version."""
    store = S3Store("rollback", endpoint)
    store._client.create_bucket(Bucket="rollback")
    serving.publish(store)
    log = gateway.wired(store)
    first = Log(store).read(serving.MODEL).versions[1]
    again = {name: getattr(first, name) for name in ("task", "manifest", "source", "model", "size")}
    versions.register(log, serving.MODEL, type(first)(version=0, upload="bench-upload-2", **again), Act(by="bench"))
    logging.disable(logging.INFO)  # nobody measures what these calls cost
    here, stop = threading.local(), threading.Event()
    inference.models = lambda: here.models  # type: ignore[assignment]
    running = [Instance(_models(endpoint), here, stop) for _ in range(instances)]
    threads = []
    for number, instance in enumerate(running):
        threads.append(threading.Thread(target=instance.run))
        threads[-1].start()
        time.sleep(TTL / instances if number + 1 < instances else 0)  # so that they look at different times
    gateway.use(log)
    try:
        seen = [_once(running, endpoint, here) for _ in range(rollbacks)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        logging.disable(logging.NOTSET)
    effects = [delay for one in seen for delay in one["effect_s"]]
    stale = [delay for one in seen for delay in one["stale_s"]]
    return {
        "ttl_s": TTL,
        "instances": instances,
        "rollbacks": rollbacks,
        "answers": sum(len(instance.answers) for instance in running),
        "effect_s": _spread(effects),
        "last_stale_call_asked_s": _spread(stale),
        "flips_back": sum(one["flips_back"] for one in seen),
        "fresh_instances_right": sum(one["fresh"] == 1 for one in seen),
        "fresh_first_answer_ms": _spread([one["fresh_ms"] for one in seen]),
        "within_ttl": max(stale) <= TTL,
    }


def _once(running: list[Instance], endpoint: str, here: threading.local) -> dict[str, Any]:
    """Put version 2 into service, wait until all answer with it, roll back, and watch."""
    _change("PUT", ALIAS, b'{"version":2}')
    _until(running, 2)
    _change("POST", f"{ALIAS}/rollback", b"{}")
    told = time.monotonic()
    here.models = _models(endpoint)  # a new instance, which the caller asks before it looks at the warm ones
    fresh = inference.handler(_infer(), None)
    fresh_ms = (time.monotonic() - told) * 1e3
    _until(running, 1)
    time.sleep(max(told + TTL + 0.5 - time.monotonic(), 0))  # what comes later must not be the new version again
    effects, stale, flips = [], [], 0
    for instance in running:
        after = [answer for answer in instance.answers if answer.answered > told]
        old = next(number for number, answer in enumerate(after) if answer.version == 1)
        effects.append(after[old].answered - told)
        stale.append(max([answer.asked - told for answer in after if answer.version == 2], default=0.0))
        flips += sum(answer.version != 1 for answer in after[old:])
    result = {"effect_s": effects, "stale_s": stale, "flips_back": flips}
    return result | {"fresh": int(fresh["headers"]["x-amaas-version"]), "fresh_ms": fresh_ms}


def _until(running: list[Instance], wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(not instance.answers or instance.answers[-1].version != wanted for instance in running):
        problem = next((instance.problem for instance in running if instance.problem), "")
        if problem or time.monotonic() > deadline:
            raise SystemExit(f"not all instances answer with version {wanted}: {problem or 'they went on as before'}")
        time.sleep(0.01)


def _change(method: str, url: str, body: bytes) -> None:
    fine(gateway.answer(gateway.event(method, url, body)))


def _models(endpoint: str) -> Models:
    log = Log(S3Store("rollback", endpoint))
    return Models(log, ttl=TTL, capacity=10**9)


def _infer() -> dict[str, Any]:
    image = next((serving.ROOT / "examples" / "images").glob("*.png")).read_bytes()
    return serving.event(f"/models/{serving.MODEL}/predict", image, "image/png")


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }
