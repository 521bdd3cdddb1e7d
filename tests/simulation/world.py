"""A whole run: the cloud, its schedules, its weather and its users, from one seed."""

from __future__ import annotations

import json
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
from shared.ingest import candidate
from shared.ingest.verdict import Verdict
from shared.package import manifest
from shared.package.manifest import Manifest
from shared.registry import blobs, catalog, collect
from shared.serving.tasks.base import Together
from shared.uploads import attempts
from tests import support
from tests.simulation import natures
from tests.simulation.actors import Actor, Call, Notebook, Put, Wait
from tests.simulation.cloud import CALM, DAY, Cloud, Weather
from tests.simulation.engine import Engine, Killed, Process, virtual
from tests.simulation.machine import Machine
from tests.simulation.rules import Watch
from tests.simulation.timers import Timers

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
LOOKS_EVERY = 3600.0  # seconds: every 15 minutes would be three quarters of all events
COMPACTING = 3  # transitions for each compaction of the catalog: it meets more writers than with 16


@dataclass
class World:
    engine: Engine
    cloud: Cloud
    notebook: Notebook
    watch: Watch
    foul: Weather
    calm_from: float = 0.0

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


def verdict(files: Any, *_: Any) -> Verdict:
    """Stands for the checks, which have proofs of their own: what is no model is refused."""
    if files["model.onnx"].read_bytes().startswith(natures.POISON):
        raise OSError("a fault of ours (simulated)")
    if files["model.onnx"].read_bytes().startswith(natures.BAD):
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
    """Stands for the models of batchwork, and for what a task does: one row in a while ends the process.

    together: in every other world, as a task that answers several rows at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.together = engine.rng.random() < 0.5

    def of(self, manifest: Manifest) -> Predictor:
        return self

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

    def predict_together(self, loaded: Predictor, asked: list[tuple[bytes, str, Any]]) -> list[Together | None]:
        """A row that is wrong is left to be answered alone, and some are cut by the end of the time."""
        answers: list[Together | None] = []
        for one in asked:
            try:
                answers.append(Together(self.predict(loaded, *one), 1, cut=self._engine.rng.random() < 0.1))
            except BadInput:
                answers.append(None)
        return answers


@contextmanager
def wired(cloud: Cloud, machine: Machine, grace: float) -> Iterator[None]:
    replaced = [*cloud.wired(), (candidate, "check_model", verdict)]
    # the one that is served reads amaas.json in a process of its own, which takes real time
    replaced += [(candidate, "read_manifest", lambda path, *_: manifest.decode(path.read_bytes()))]
    replaced += [(metrics, "event", lambda *_: None), (metrics, "emit", lambda *_, **__: None)]
    # threads' numbers are used again, and not by a seed
    replaced += [(catalog, "COMPACTING", COMPACTING), (attempts, "_holder", cloud.holder)]
    rows = Predictor(cloud.engine)
    timers = Timers(cloud)
    replaced += [(batch, "machine", lambda: machine), (ingest, "timer", lambda: timers)]
    replaced += [(batchwork, "models", lambda: rows), (batchwork, "tasks", rows)]
    replaced += [(blobs, "GRACE", grace), (collect.collect, "__defaults__", (grace, None))]
    before = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for module, name, value in replaced:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def simulated(seed: int, *, foul_days: float = 10, calm_days: float = 10) -> Iterator[World]:
    """A world in which things went wrong for some days, and for some more nothing did, so that all was made up for.

    Events are lost and doubled to the end.
    """
    engine = Engine(seed)
    cloud = Cloud(engine, FUNCTIONS)
    nature = natures.drawn(engine.rng, foul_days)
    world = World(engine, cloud, Notebook(), Watch(lambda: engine.now), nature.weather, engine.now + foul_days * DAY)
    cloud.watchers = [world.watch]
    with virtual(engine), wired(cloud, Machine(cloud, aborts=world.foul.kill), nature.grace):
        cloud.weather = world.foul
        natures.populate(engine, world.notebook, world.act, nature, foul_days)
        world.every(LOOKS_EVERY, "ingest", look="uploads")
        world.every(DAY, "ingest")
        world.every(nature.sweeps_every, "sweep")
        world.expire_daily()
        engine.run(world.calm_from)
        cloud.weather = CALM
        engine.run(world.calm_from + calm_days * DAY)
        yield world
