"""People and programs that use the product: they upload, move aliases, call again when an answer is lost, and look.

An actor is a generator. It yields what it does next, and is sent what came of it:

    Call      a request to the API; None: no answer came, and nobody knows whether it had an effect
    Put       an object to a presigned URL, or to the inbox
    Wait      some seconds
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tests.simulation.cloud import DAY
from tests.simulation.engine import START, Engine
from tests.support import Answer

MODELS = ("iris", "mnist", "wine")
ALIASES = ("production", "staging")
PATIENCE = 40  # tries of one call


class Call(NamedTuple):
    function: str
    method: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class Put(NamedTuple):
    key: str
    body: bytes


class Wait(NamedTuple):
    seconds: float


Step = Call | Put | Wait
Actor = Generator[Step, Any, None]


@dataclass
class Package:
    """An upload as its owner sees it. expected: its end state. announced: its digest.

    opened_at, arrived_at: when it had its URLs, and when all files were put, in seconds since the epoch; 0 for never.
    """

    model: str
    files: dict[str, bytes]
    expected: str
    announced: str | None = None
    upload: str = ""
    opened_at: float = 0.0
    arrived_at: float = 0.0


@dataclass
class BatchJob:
    """A batch job as its owner sees it. rows: what each line of its input is. state: as it was seen last."""

    id: str
    rows: list[str]
    state: str = ""


@dataclass
class Transition:
    """A call with an Idempotency-Key and its first definite answer."""

    call: Call
    answer: Answer


@dataclass
class Notebook:
    """What the actors did, and were answered: what must hold is derived from it."""

    packages: list[Package] = field(default_factory=list)
    dropped: dict[str, bytes] = field(default_factory=dict)  # into the inbox, by key
    dropped_at: dict[str, float] = field(default_factory=dict)
    batches: list[BatchJob] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    replays: list[tuple[Transition, Answer]] = field(default_factory=list)


def definite(answer: Answer | None) -> bool:
    return answer is not None and answer.status < 500


def persistent(engine: Engine, call: Call) -> Generator[Step, Any, Answer | None]:
    """Repeat a call until there is a definite answer. None: the caller gave up."""
    for attempt in range(PATIENCE):
        answer = yield call
        if definite(answer):
            return answer
        yield Wait(min(2**attempt, 600) * (0.5 + engine.rng.random()))
    return None


def uploader(engine: Engine, notebook: Notebook, package: Package, loses: float, gap: float = 900.0) -> Actor:
    """Announce a package and send its files; one in some stops halfway. loses: that share. gap: seconds at most."""
    listed: list[dict[str, Any]] = [{"name": name, "size": len(body)} for name, body in package.files.items()]
    if package.announced:
        listed[0]["sha256"] = package.announced
    call = Call("upload", "POST", f"/models/{package.model}/uploads", {"files": listed}, {})
    answer = yield from persistent(engine, call)
    if answer is None:
        return
    assert answer.status == 201, answer.body
    package.upload, package.opened_at = answer.json["upload_id"], engine.now
    notebook.packages.append(package)
    targets = {target["name"]: unquote(urlsplit(target["url"]).path).lstrip("/") for target in answer.json["files"]}
    names = sorted(targets, key=lambda _: engine.rng.random())
    stops = engine.rng.randrange(len(names)) if engine.rng.random() < loses else None
    for number, name in enumerate(names):
        if number == stops:
            return
        yield Wait(engine.rng.random() * gap)
        yield Put(targets[name], package.files[name])
    package.arrived_at = engine.now


def dropper(engine: Engine, notebook: Notebook, model: str, name: str, body: bytes) -> Actor:
    """Put a model into the inbox with nothing but an S3 client."""
    key = f"inbox/{model}/{name}"
    notebook.dropped[key], notebook.dropped_at[key] = body, engine.now
    yield Put(key, body)


def predictor(engine: Engine, notebook: Notebook, model: str, rows: list[str]) -> Actor:
    """Have the lines of a file predicted; look now and then, and start again what has ended too early."""
    name = f"/models/{model}/batch"
    body = "".join(f'{{"id": {number}, "input": "{row}"}}\n' for number, row in enumerate(rows)).encode()
    create = Call("batch", "POST", name, {"files": [{"name": "rows.jsonl", "size": len(body)}]}, {})
    answer = yield from persistent(engine, create)
    if answer is None or answer.status != 201:  # there is no such model yet
        return
    job = BatchJob(answer.json["id"], rows)
    yield Put(unquote(urlsplit(answer.json["files"][0]["url"]).path).lstrip("/"), body)
    notebook.batches.append(job)
    while job.state != "done":
        if job.state not in ("planning", "running"):
            yield from persistent(engine, Call("batch", "POST", f"/batch/{job.id}/start", {}, {}))
        yield Wait(600 + engine.rng.random() * 3600 * 4)
        seen = yield from persistent(engine, Call("batch", "GET", f"/batch/{job.id}", {}, {}))
        job.state = seen.json["state"] if seen else ""


def operator(
    engine: Engine, notebook: Notebook, name: str, models: tuple[str, ...], rushes: list[float], moves: int, rush: float
) -> Actor:
    """Move aliases, roll back, retire, edit, delete and restore; some calls are repeated, at once or much later.

    rushes: seconds since the start, at which many act. rush: the share of calls that wait for one.
    """
    rng = engine.rng
    for number in range(moves):
        later = [moment - (engine.now - START) for moment in rushes if moment > engine.now - START]
        yield Wait(
            rng.choice(later) + rng.random() * 0.5 if later and rng.random() < rush else rng.expovariate(1 / DAY)
        )
        call = _some_transition(engine, f"{name}-{number}", models)
        answer = yield from persistent(engine, call)
        if answer is None:
            continue
        transition = Transition(call, answer)
        notebook.transitions.append(transition)
        if rng.random() < 0.5:
            yield Wait(rng.random() * rng.choice((1.0, 3600 * 6)))
            again = yield from persistent(engine, call)
            if again is not None:
                notebook.replays.append((transition, again))


def _some_transition(engine: Engine, key: str, models: tuple[str, ...]) -> Call:
    rng = engine.rng
    model, alias = f"/models/{rng.choice(models)}", rng.choice(ALIASES)
    version = rng.randrange(1, 5)
    method, path, body = rng.choice(
        [
            ("PUT", f"{model}/aliases/{alias}", {"version": version}),
            ("PUT", f"{model}/aliases/{alias}", {"version": version}),
            ("PUT", f"{model}/aliases/{alias}", {"split": {str(version): 90, str(version + 1): 10}}),
            ("POST", f"{model}/aliases/{alias}/rollback", {}),
            ("POST", f"{model}/aliases/{alias}/rollback", {}),
            ("DELETE", f"{model}/aliases/staging", {}),
            ("POST", f"{model}/versions/{version}/retire", {}),
            ("POST", f"{model}/versions/{version}/restore", {}),
            ("PATCH", model, {"tags": [f"t{version}"]}),
            ("DELETE", model, {}),
            ("POST", f"{model}/restore", {}),
            ("POST", f"{model}/restore", {}),
        ]
    )
    return Call("registry", method, path, body, {"Idempotency-Key": key})
