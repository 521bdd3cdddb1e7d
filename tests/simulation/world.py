"""A whole run: the cloud, its schedules, its weather and its users, from one seed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from functions.batch import app as batch
from functions.batchplan import app as batchplan
from functions.batchwork import app as batchwork
from functions.ingest import app as ingest
from functions.registry import app as registry
from functions.sweep import app as sweep
from functions.upload import app as upload
from shared import metrics
from shared.errors import BadInput
from shared.ingest import candidate, pipeline
from shared.ingest.verdict import Verdict
from shared.package import manifest
from shared.package.manifest import Manifest
from shared.registry import catalog
from shared.uploads import attempts
from tests import support
from tests.simulation.actors import (
    MODELS,
    Actor,
    Call,
    Notebook,
    Package,
    Put,
    Wait,
    dropper,
    operator,
    predictor,
    uploader,
)
from tests.simulation.cloud import CALM, DAY, Cloud, Weather
from tests.simulation.engine import Engine, Killed, Process, virtual
from tests.simulation.machine import Machine
from tests.simulation.rules import Watch

# by name: the handler, and its timeout as in template.yaml
FUNCTIONS = {
    "upload": (upload.handler, 29.0),
    "registry": (registry.handler, 29.0),
    "ingest": (ingest.handler, 300.0),
    "sweep": (sweep.handler, 300.0),
    "batch": (batch.handler, 29.0),
    "batchplan": (batchplan.handler, 300.0),
    "batchwork": (batchwork.handler, 900.0),
}
BAD, POISON = b"this is no model ", b"this ends each check "
LOOKS_EVERY = 3600.0  # seconds: every 15 minutes would be three quarters of all events
SWEEPS_EVERY = DAY / 4  # a sweep meets more writers than it would once a day
CONTENTS = 6  # distinct good models: most uploads have bytes that were there before
COMPACTING = 3  # transitions for each compaction of the catalog: it meets more writers than with 16


@dataclass
class World:
    engine: Engine
    cloud: Cloud
    notebook: Notebook
    watch: Watch
    foul: Weather

    def act(self, actor: Actor, sent: Any = None) -> None:
        """Let an actor go on, and see to what it does next."""
        try:
            step = actor.send(sent)
        except StopIteration:
            return
        if isinstance(step, Wait):
            self.engine.after(step.seconds, lambda: self.act(actor))
        elif isinstance(step, Put):
            self.cloud.upload(step.key, step.body)
            self.engine.after(0.1, lambda: self.act(actor))
        else:
            self.call(step, actor)

    def call(self, call: Call, actor: Actor) -> None:
        handler, _ = self.cloud.functions[call.function]

        def request() -> support.Answer:
            body = dict(call.body) if call.method != "GET" else b""
            return support.call(handler, call.method, call.path, body, headers=dict(call.headers))

        def ended(process: Process) -> None:
            if isinstance(process.error, Exception):
                raise process.error
            lost = self.engine.rng.random() < self.cloud.weather.after
            self.act(actor, None if lost or process.error else process.result)

        self.cloud.invoke(call.function, request, ended)

    def every(self, seconds: float, function: str, **event: str) -> None:
        """A schedule: the function is invoked with an event that names no object."""

        def due() -> None:
            self.cloud.deliver(function, dict(event))
            self.engine.after(seconds, due)

        self.engine.after(self.engine.rng.random() * seconds, due)

    def expire_daily(self) -> None:
        self.cloud.expire()
        self.engine.after(DAY, self.expire_daily)


def weather(rng: random.Random, days: float) -> Weather:
    """From calm to foul."""
    severity = rng.random()
    return Weather(
        before=0.05 * severity * rng.random(),
        after=0.05 * severity * rng.random(),
        full=0.1 * severity * rng.random(),
        kill=0.3 * severity * rng.random(),
        lost=0.3 * severity * rng.random(),
        twice=0.4 * rng.random(),
        late=rng.choice((1.0, 60.0, 3600.0)),
        skew=rng.choice((0.0, 1.0, 300.0)),
        outages=tuple(
            (start, start + rng.choice((2.0, 60.0, 3600.0, 6 * 3600.0)))
            for start in (rng.random() * days * DAY for _ in range(rng.randrange(4)))
        ),
    )


def populate(world: World, uploads: int, days: float) -> None:
    """Some of what people do is spread over the days, and some is done by many at the same moment."""
    engine, notebook = world.engine, world.notebook
    rng = engine.rng
    rushes = [rng.random() * days * DAY for _ in range(4)]
    for _ in range(uploads):
        kind = rng.choice(("good", "good", "good", "good", "no model", "another digest", "poison"))
        body = {"no model": BAD, "poison": POISON}.get(kind, b"model ") + b"%d" % rng.randrange(CONTENTS)
        files = {"model.onnx": body} | ({"amaas.json": b"{}"} if rng.random() < 0.4 else {})
        announced = hashlib.sha256(b"other" if kind == "another digest" else body).hexdigest()
        end = {"good": "registered", "poison": "failed"}.get(kind, "rejected")
        package = Package(rng.choice(MODELS), files, end, announced if rng.random() < 0.5 or kind != "good" else None)
        actor = uploader(engine, notebook, package, loses=0.15)
        start = rng.random() * days * DAY if rng.random() < 0.5 else rng.choice(rushes) + rng.random() * 2
        engine.after(start, lambda actor=actor: world.act(actor))
    for number in range(uploads // 6):
        world.act(dropper(engine, notebook, rng.choice(MODELS), f"m{number}.onnx", b"inbox %d" % number))
    for _ in range(uploads // 4):
        rows = [rng.choice(("good", "good", "good", "wrong", "fatal")) for _ in range(rng.randrange(1, 12))]
        actor = predictor(engine, notebook, rng.choice(MODELS), rows)
        engine.after(rng.random() * days * DAY, lambda actor=actor: world.act(actor))
    for name in ("ann", "bob", "eve"):
        world.act(operator(engine, notebook, name, rushes, moves=8))


def verdict(files: Any, *_: Any) -> Verdict:
    """Stands for the checks, which have proofs of their own: what is no model is refused."""
    if files["model.onnx"].read_bytes().startswith(POISON):
        raise OSError("a fault of ours (simulated)")
    if files["model.onnx"].read_bytes().startswith(BAD):
        return Verdict(accepted=False, code="not_onnx", reason="this is no model")
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 1]}
    body = files["model.onnx"].read_bytes()
    return Verdict(
        accepted=True,
        code="accepted",
        reason="",
        inputs=[tensor],
        outputs=[{**tensor, "name": "y"}],
        optimized=b"optimized " + body if len(body) % 2 else None,
        samples=b"samples of " + body,
    )


class Predictor:
    """Stands for the models of batchwork, and for what a task does: one row in a while ends the process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, model: str, version: str) -> Predictor:
        return self

    manifest = Manifest(name="m")

    def predict(self, loaded: Predictor, body: bytes, content_type: str, options: Any) -> dict[str, Any]:
        row = json.loads(body)["input"]
        self._engine.sleep(self._engine.rng.random() * 40)
        if row == "fatal":
            raise Killed
        if row == "wrong":
            raise BadInput("a row that no model takes")
        return {"model": "m", "version": 1, "label": row}


@contextmanager
def wired(cloud: Cloud, machine: Machine) -> Iterator[None]:
    replaced = [*cloud.wired(), (candidate, "check_model", verdict)]
    # the one that is served reads amaas.json in a process of its own, which takes real time
    replaced += [(pipeline, "read_manifest", lambda path, *_: manifest.decode(path.read_bytes()))]
    replaced += [(metrics, "event", lambda *_: None), (metrics, "emit", lambda *_, **__: None)]
    # threads' numbers are used again, and not by a seed
    replaced += [(catalog, "COMPACTING", COMPACTING), (attempts, "_holder", cloud.holder)]
    rows = Predictor(cloud.engine)
    replaced += [(batch, "machine", lambda: machine)]
    replaced += [(batchwork, "models", lambda: rows), (batchwork, "tasks", rows)]
    before = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for module, name, value in replaced:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def simulated(seed: int, *, foul_days: float = 10, calm_days: float = 10, uploads: int = 16) -> Iterator[World]:
    """A world in which things went wrong for some days, and for some more nothing did, so that all was made up for."""
    engine = Engine(seed)
    cloud = Cloud(engine, FUNCTIONS)
    world = World(engine, cloud, Notebook(), Watch(), weather(engine.rng, foul_days))
    cloud.watchers = [world.watch]
    with virtual(engine), wired(cloud, Machine(cloud, aborts=world.foul.kill)):
        cloud.weather = world.foul
        populate(world, uploads, foul_days)
        world.every(LOOKS_EVERY, "ingest", look="uploads")
        world.every(DAY, "ingest")
        world.every(SWEEPS_EVERY, "sweep")
        world.expire_daily()
        engine.run(cloud.began + foul_days * DAY)
        cloud.weather = CALM
        engine.run(cloud.began + (foul_days + calm_days) * DAY)
        yield world
