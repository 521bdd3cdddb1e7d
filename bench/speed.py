"""Transitions and questions of both registries, side by side: they take turns, so that drift meets all alike."""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import servers
from bench.gateway import wired
from bench.load import Turn
from bench.peers import MlflowLibrary, MlflowRest
from bench.subjects import Amaas, Subject, in_process, keep_alive
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from shared.storage.s3 import S3Store

OPERATIONS = {
    "register": "register a version",
    "move": "set an alias",
    "contend": "set an alias, all clients on one model",
    "get": "get a version by alias",
    "page": "list 100 models",
}
TITLES = {
    "handler-memory": "Amaas handler, in memory",
    "handler-memory-signed": "Amaas handler, in memory, signed",
    "handler-s3": "Amaas handler, S3 server",
    "handler-s3-signed": "Amaas handler, S3 server, signed",
    "http-memory": "Amaas over HTTP, in memory",
    "http-s3": "Amaas over HTTP, S3 server",
    "mlflow-library": "MLflow library, SQLite",
    "mlflow-rest": "MLflow REST server, SQLite",
}
# ours, theirs, and what the pair is
PAIRS = [
    ("handler-memory", "mlflow-rest", "our code alone against their server: the goal of 5x"),
    ("handler-memory-signed", "mlflow-rest", "the same with signed records, the default of a deployment"),
    ("handler-s3", "mlflow-rest", "our code with its store behind HTTP against their server"),
    ("handler-s3-signed", "mlflow-rest", "the same with signed records"),
    ("http-memory", "mlflow-rest", "server against server; ours keeps nothing on disk"),
    ("http-s3", "mlflow-rest", "like with like: server against server, both keep their state on disk"),
    ("handler-memory", "mlflow-library", "function call against function call; ours keeps nothing on disk"),
]
CLIENTS = (1, 4)
MODELS = 120
ASKED_FOR = 20
# calls of one client per turn: so that fast subjects do not end up with longer histories than the others
MOST = {"register": 100, "move": 200, "contend": 200}


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float


@contextmanager
def subjects(home: Path, environment: Path, endpoint: str, s3: servers.Server) -> Iterator[dict[str, Subject]]:
    """All subjects, with their models, and their servers running."""
    names = [f"model-{n:05d}" for n in range(MODELS)] + ["hot"]
    key = LocalKey.create(home / "key.pem")
    buckets = {name: _bucket(name, endpoint) for name in ("handler-s3", "handler-s3-signed", "http-s3")}
    with ExitStack() as running:
        library = MlflowLibrary(environment, home / "library.db", home / "library.txt")
        running.enter_context(library.server)
        library.seed(names)
        shutil.copy(home / "library.db", home / "server.db")
        rest, rest_port = servers.mlflow(environment, home / "server.db", home / "mlflow.txt")
        running.enter_context(rest)
        memory, memory_port = servers.gateway(home / "memory.txt", [])
        running.enter_context(memory)
        arguments = ["--bucket", "http-s3", "--processes", str(servers.WORKERS)]
        http, http_port = servers.gateway(home / "http.txt", arguments)
        running.enter_context(http)

        def ours() -> float:
            return time.process_time()

        def ours_and_s3() -> float:
            return time.process_time() + s3.cpu()

        made: dict[str, Subject] = {
            "handler-memory": Amaas(in_process(wired(MemoryStore())), ours),
            "handler-memory-signed": Amaas(in_process(wired(MemoryStore(), key)), ours),
            "handler-s3": Amaas(in_process(wired(buckets["handler-s3"])), ours_and_s3),
            "handler-s3-signed": Amaas(in_process(wired(buckets["handler-s3-signed"], key)), ours_and_s3),
            "http-memory": Amaas(keep_alive(memory_port), memory.cpu),
            "http-s3": Amaas(keep_alive(http_port), lambda: http.cpu() + s3.cpu()),
        }
        for subject in made.values():
            subject.seed(names)
        yield made | {"mlflow-library": library, "mlflow-rest": MlflowRest(rest_port, rest.cpu)}


def _bucket(name: str, endpoint: str) -> S3Store:
    store = S3Store(name, endpoint)
    store._client.create_bucket(Bucket=name)
    return store


def measure(made: dict[str, Subject], plan: Plan) -> dict[str, Any]:
    """Figures by operation, number of clients and subject."""
    turns: dict[tuple[str, int, str], list[tuple[Turn, float]]] = defaultdict(list)
    serial = itertools.count()
    for turn_of in range(plan.rounds + 1):
        cells = [(o, c) for o in OPERATIONS for c in CLIENTS if o != "contend" or c > 1]
        order = list(made.items())
        for operation, clients in cells:
            order.append(order.pop(0))  # nobody is always the one after the same other
            for name, subject in order:
                models = _names(operation, clients, next(serial))
                # the round before the first warms everything up, and is short
                seconds = plan.seconds if turn_of else plan.seconds / 4
                before = subject.cpu()
                done = subject.turn(operation, models, clients, seconds, MOST.get(operation, 10**9))
                if turn_of:
                    turns[operation, clients, name].append((done, subject.cpu() - before))
    found: dict[str, Any] = {operation: {str(c): {} for c in CLIENTS} for operation in OPERATIONS}
    for (operation, clients, name), done_turns in turns.items():
        found[operation][str(clients)][name] = _figures(done_turns)
    return found


def _names(operation: str, clients: int, serial: int) -> list[str]:
    if operation == "register":
        return [f"new-{serial}-{client}" for client in range(clients)]
    if operation == "contend":
        return ["hot"]
    return [f"model-{n:05d}" for n in range(ASKED_FOR if operation == "get" else clients)]


def _figures(turns: list[tuple[Turn, float]]) -> dict[str, Any]:
    """Operations per second: the median of the rounds, and all of them; milliseconds: of all answers together."""
    latencies = sorted(latency * 1e3 for done, _ in turns for latency in done.latencies)
    rates = [done.rate for done, _ in turns]
    figures: dict[str, Any] = {
        "rate": round(statistics.median(rates), 1),
        "rates": [round(rate, 1) for rate in rates],
        "answers": len(latencies),
        "errors": sum(done.errors for done, _ in turns),
    }
    if latencies:
        for percent in (50, 99):
            figures[f"p{percent}_ms"] = round(latencies[(len(latencies) - 1) * percent // 100], 3)
        figures["cpu_ms"] = round(sum(cpu for _, cpu in turns) / len(latencies) * 1e3, 3)
    problem = next((done.problem for done, _ in turns if done.problem), None)
    return figures | ({"problem": problem} if problem else {})


def ratios(found: dict[str, Any]) -> list[dict[str, Any]]:
    """How many times as fast we are: ratio of the medians, and the lowest and highest of single rounds."""
    rows = []
    for ours, theirs, what in PAIRS:
        row: dict[str, Any] = {"ours": ours, "theirs": theirs, "what": what}
        for operation, by_clients in found.items():
            for clients, figures in by_clients.items():
                if ours not in figures or not figures[theirs]["rate"]:
                    continue
                pairs = zip(figures[ours]["rates"], figures[theirs]["rates"], strict=True)
                single = sorted(round(a / b, 2) for a, b in pairs if b)
                ratio = round(figures[ours]["rate"] / figures[theirs]["rate"], 2)
                row[f"{operation}, {clients}"] = {"ratio": ratio, "lowest": single[0], "highest": single[-1]}
        rows.append(row)
    return rows
