"""What a world is like: each draws its own mix of faults, and of people who are in each other's way.

A mix of everything at middling rates hides what needs much of one thing and none of another (Groce et al., "Swarm
testing", ISSTA 2012): so each fault is there or not, and so are rushes, one model for all, and a short grace period.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.actors import MODELS, Actor, Notebook, Package, dropper, operator, predictor, uploader
from tests.simulation.cloud import DAY, Weather
from tests.simulation.engine import Engine

BAD, POISON = b"this is no model ", b"this ends each check "
OPERATORS = ("ann", "bob", "eve", "joe", "kim", "lee", "mia", "zoe")
CALM_UPLOADS = 4  # after the foul days, when there is no excuse for an upload that takes long


@dataclass(frozen=True)
class Nature:
    """models: that are used. contents: distinct good models; few: most uploads have bytes that were there before.

    rush: the share of what is done by many at the same moment. gap: seconds between an upload's files, at most.
    grace: seconds that a blob without references is kept. sweeps_every: seconds.
    """

    weather: Weather
    models: tuple[str, ...]
    uploads: int
    dropped: int
    jobs: int
    operators: int
    moves: int
    contents: int
    rush: float
    gap: float
    grace: float
    sweeps_every: float


def drawn(rng: random.Random, days: float) -> Nature:
    return Nature(
        weather=_weather(rng, days),
        models=MODELS[: rng.choice((1, 2, 3, 3))],
        uploads=rng.choice((10, 16, 24)),
        dropped=rng.choice((1, 3, 8)),
        jobs=rng.choice((0, 2, 5)),
        operators=rng.choice((2, 3, 8)),
        moves=rng.choice((4, 8, 16)),
        contents=rng.choice((2, 6, 20)),
        rush=rng.choice((0.0, 0.5, 0.9)),
        gap=rng.choice((0.5, 900.0)),
        grace=rng.choice((1.0, 1.0, 7.0)) * DAY,
        sweeps_every=rng.choice((DAY / 24, DAY / 4)),
    )


def _weather(rng: random.Random, days: float) -> Weather:
    """Each kind of fault is there or not, from seldom to often."""

    def share(most: float) -> float:
        return most * rng.random() if rng.random() < 0.5 else 0.0

    return Weather(
        before=share(0.08),
        after=share(0.08),
        full=share(0.1),
        kill=share(0.4),
        lost=share(0.5),
        twice=share(0.6),
        late=rng.choice((1.0, 60.0, 3600.0)),
        skew=rng.choice((0.0, 1.0, 300.0)),
        outages=tuple(
            (start, start + rng.choice((2.0, 60.0, 3600.0, 6 * 3600.0)))
            for start in (rng.random() * days * DAY for _ in range(rng.choice((0, 0, 2, 4))))
        ),
    )


def populate(engine: Engine, notebook: Notebook, act: Callable[[Actor], None], nature: Nature, days: float) -> None:
    """Some of what people do is spread over the days, and some is done by many at the same moment."""
    rng = engine.rng
    rushes = [rng.random() * days * DAY for _ in range(4)]

    def begin(actor: Actor, moment: float | None = None) -> None:
        if moment is None:
            moment = rng.choice(rushes) + rng.random() if rng.random() < nature.rush else rng.random() * days * DAY
        engine.after(moment, lambda: act(actor))

    for _ in range(nature.uploads):
        begin(uploader(engine, notebook, _package(rng, nature), 0.15, nature.gap))
    for _ in range(CALM_UPLOADS):
        moment = (days + rng.random() * 4) * DAY
        begin(uploader(engine, notebook, _package(rng, nature), 0.25, nature.gap), moment)
    for number in range(nature.dropped):
        begin(dropper(engine, notebook, rng.choice(nature.models), f"m{number}.onnx", b"inbox %d" % number))
    for _ in range(nature.jobs):
        rows = [rng.choice(("good", "good", "good", "wrong", "fatal")) for _ in range(rng.randrange(1, 12))]
        begin(predictor(engine, notebook, rng.choice(nature.models), rows))
    for name in OPERATORS[: nature.operators]:
        act(operator(engine, notebook, name, nature.models, rushes, nature.moves, nature.rush))


def _package(rng: random.Random, nature: Nature) -> Package:
    kind = rng.choice(("good", "good", "good", "good", "no model", "another digest", "poison"))
    body = {"no model": BAD, "poison": POISON}.get(kind, b"model ") + b"%d" % rng.randrange(nature.contents)
    files = {"model.onnx": body} | ({"amaas.json": b"{}"} if rng.random() < 0.4 else {})
    announced = hashlib.sha256(b"other" if kind == "another digest" else body).hexdigest()
    end = {"good": "registered", "poison": "failed"}.get(kind, "rejected")
    stated = announced if rng.random() < 0.5 or kind != "good" else None
    return Package(rng.choice(nature.models), files, end, stated)
