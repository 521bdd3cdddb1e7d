"""A million calls on one process, while aliases move and sessions are evicted: memory, errors, mixed versions."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.trust.proof import LIMIT, Outcome, replaced
from functions.inference import app as inference
from shared import metrics
from shared.package import manifest
from shared.package.manifest import Manifest, Tensor
from shared.registry import aliases, blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Target, Version
from shared.runtime import runners
from shared.serving.models import Models
from shared.serving.wall import SIGNED, Wall
from shared.signing import model_signing
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.support import caller, linear, load_event

PROMOTES_EVERY = 1000  # calls
SAMPLE_EVERY = 5000
WARM_UP = 0.2  # the share of the run whose memory does not count
MOST = 1.0  # MB that memory may grow by in 100,000 calls
KEPT = 3  # sessions; there are more models, so each round evicts some
NAMES = [f"{kind}-{number}" for kind in ("trusted", "confined") for number in range(3)]
PAGE = os.sysconf("SC_PAGE_SIZE")
ANN = Change(by="ann", may_promote=True)


def calls(count: int, seed: int) -> Outcome:
    return _calls(count, seed, lambda answer: None)


def _calls(count: int, seed: int, keeps: Callable[[bytes], None]) -> Outcome:
    """Each model's version N multiplies by N, so that an answer says which version has computed it."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        key = LocalKey.create(Path(folder) / "key.pem")
    log = Log(MemoryStore())
    size = max(_register(log, name, number, key).size for name in NAMES for number in (1, 2))
    wall = Wall(trusted=SIGNED, signers=(key.public,))
    models = Models(log, ttl=0, capacity=KEPT * 2 * size, wall=wall)
    outcome, samples = Outcome(0), list[tuple[int, int, int]]()
    wrong, loads = Counter[str](), Counter[str]()
    events = {name: _event(name) for name in NAMES}
    # a model is called some times in a row, so that most calls are warm
    name = NAMES[0]
    with replaced(
        (inference, "models", lambda: models), (metrics, "event", lambda *_: None), (metrics, "emit", _ignore)
    ):
        for number in range(count):
            if number % PROMOTES_EVERY == 0:
                if LIMIT.over():
                    break
                target = Target(version=1 + number // PROMOTES_EVERY % 2)
                for each in NAMES:
                    aliases.move(log, each, "production", target, ANN)
            if number % 50 == 0:
                name = NAMES[int(rng.integers(len(NAMES)))]
                loads[name.partition("-")[0]] += 1
            wrong[_one(events[name], keeps)] += 1
            outcome.n += 1
            if number % SAMPLE_EVERY == 0:
                samples.append((number, _resident(os.getpid()), _runners()))
    return _told(outcome, wrong, samples)


def _ignore(*_: Any, **__: Any) -> None: ...


def _register(log: Log, name: str, number: int, key: LocalKey) -> Version:
    """A version that multiplies by its number; of a trusted model with a signature."""
    model = linear([[float(number)], [0.0]])
    inputs, outputs = [Tensor("x", "FP32", [-1, 2])], [Tensor("y", "FP32", [-1, 1])]
    described = blobs.write(
        log.store, manifest.encode(Manifest(name=name, tags=[str(number)], inputs=inputs, outputs=outputs))
    )
    digest = blobs.write(log.store, model)
    files = {"model.onnx": digest, "amaas.json": described}
    package = blobs.write(log.store, model_signing.sign(key, name, files)) if name.startswith("trusted") else None
    version = Version(
        version=0,
        task="tensor",
        manifest=described,
        source=digest,
        model=digest,
        size=len(model),
        upload=f"{name}-{number}",
        package=package,
    )
    return versions.register(log, name, version, ANN)


def _event(name: str) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [3.0, 0.0]}
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": f"/v2/models/{name}/infer"}
    event |= {"headers": {}, "queryStringParameters": None, "isBase64Encoded": False}
    event["body"] = json.dumps({"inputs": [tensor]})
    event["requestContext"]["authorizer"] = caller("infer")
    return event


def _one(event: dict[str, Any], keeps: Callable[[bytes], None]) -> str:
    """What is wrong with an answer; "" for nothing."""
    reply = inference.handler(event, None)
    keeps(reply["body"].encode())
    if reply["statusCode"] != 200:
        return f"{reply['statusCode']}: {reply['body'][:120]}"
    answer = json.loads(reply["body"])
    value, version = answer["outputs"][0]["data"][0], int(answer["model_version"])
    return "" if value == 3.0 * version else f"version {version} answered {value}, another version's answer"


def _told(outcome: Outcome, wrong: Counter[str], samples: list[tuple[int, int, int]]) -> Outcome:
    warm = [sample for sample in samples if sample[0] >= WARM_UP * outcome.n]
    at, own, others = np.array(warm or samples, float).T
    slopes = {"this process": _slope(at, own), "processes of models": _slope(at, others)}
    outcome.failures = [f"{number:,} times {what}" for what, number in wrong.items() if what]
    for whose, slope in slopes.items():
        if slope >= MOST:
            outcome.failures.append(f"memory of {whose} grows by {slope:.2f} MB in 100,000 calls")
    mixed = sum(number for what, number in wrong.items() if what.endswith("another version's answer"))
    outcome.figures = {"errors": sum(wrong.values()) - wrong[""] - mixed, "of mixed versions": mixed}
    outcome.figures |= {f"MB in 100,000 calls, {whose}": slope for whose, slope in slopes.items()}
    outcome.figures |= {"promotes": outcome.n // PROMOTES_EVERY * len(NAMES), "MB at the end": own[-1] / 1e6}
    return outcome


def _slope(at: np.ndarray, resident: np.ndarray) -> float:
    """MB in 100,000 calls, by least squares."""
    return float(np.polyfit(at, resident, 1)[0]) * 1e5 / 1e6 if len(at) > 1 else 0.0


def _resident(pid: int) -> int:
    """Bytes."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _runners() -> int:
    """Bytes of the zygote and its runners, of which there are as many as confined sessions."""
    zygote = runners.zygote().pid
    children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    return sum(map(_resident, [zygote, *map(int, children)]))


# ---- the control


def leaking(seed: int) -> Outcome:
    """A process that keeps something of each answer, and a cache that does not tell versions apart."""
    kept: list[bytes] = []
    leak = _calls(40_000, seed, lambda answer: kept.append(answer * 4))
    with replaced((Models, "_session", _by_model_alone)):
        mixed = _calls(4_000, seed, lambda answer: None)
    return Outcome(2, failures=[leak.failures[0], mixed.failures[0]] if leak.failures and mixed.failures else [])


SESSION = Models._session


def _by_model_alone(models: Models, model: str, version: Version) -> Any:
    """The session of the first version that was loaded."""
    first = models.log.version(models.log.read(model), 1)
    return SESSION(models, model, first)
