"""Turns of load on all servers side by side: the same model in each, so many clients, one form of the call."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import load, rie
from bench.http_client import Answer, Connection, written
from bench.inference import function
from bench.inference.handler import bare
from bench.inference.peers import GATEWAY, OURS, PEERS, Form, Peer, version

MODELS = ("tiny", "mobilenet")
FORMS = ("json", "binary")
CLIENTS = (1, 4)
EMULATED = "Amaas, Lambda's emulator"
# like with like: the web server is the same, and there is no emulator between
TITLES = {"ours": OURS.title, "gateway": GATEWAY.title, "function": EMULATED}
TITLES |= {name: peer.title for name, peer in PEERS.items()}


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float


@dataclass
class Subject:
    """A running server. most: clients that it takes at a time. requests: by form, as they go over the wire."""

    port: int
    cpu: Callable[[], float]
    memory: Callable[[], tuple[int, int]]
    most: int
    requests: dict[str, bytes] = field(default_factory=dict)

    def clients(self, form: str, count: int) -> tuple[list[load.Client], list[Connection]]:
        connections = [Connection(self.port) for _ in range(count)]
        return [_client(connection, self.requests[form]) for connection in connections], connections


def _client(connection: Connection, request: bytes) -> load.Client:
    def call(_: int) -> None:
        answer = connection.exchange(request)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.body[:200]!r}")

    return call


@dataclass
class Stage:
    """One model in all servers. absent: who could not be measured, or in one form not, and why."""

    model: str
    path: Path
    home: Path
    running: dict[str, Subject] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.expected = bare(self.path, self.model)()[0].reshape(-1)

    def add(self, name: str, subject: Subject, forms: dict[str, Form]) -> None:
        """Take a server in, in the forms in which it answers what the bare model does."""
        self.running[name] = subject
        for form, asked in forms.items():
            request = written("POST", asked.call.path, asked.call.headers, asked.call.body, subject.port)
            problem = _problem(subject.port, request, asked.read, self.expected)
            if problem:
                self.absent[f"{name}, {form}"] = problem
            else:
                subject.requests[form] = request

    def start(self, name: str, peer: Peer, running: ExitStack) -> None:
        try:
            server, port = peer.start(self.path, self.home / f"{name}-{self.model}.txt")
        except SystemExit as error:
            self.absent[name] = str(error)[-1500:]
            return
        running.enter_context(server)
        self.add(name, Subject(port, server.cpu, server.memory, 4), peer.forms(self.model))

    def start_function(self, built: rie.Function, environment: dict[str, str], running: ExitStack) -> None:
        try:
            emulated = running.enter_context(function.started(built, environment, self.home))
        except (RuntimeError, OSError) as error:
            self.absent["function"] = str(error)[-1500:]
            return
        subject = Subject(emulated.port, emulated.cpu, emulated.memory, 1)
        forms = {form: Form(call, function.read) for form, call in function.calls(self.model).items()}
        self.add("function", subject, forms)


def _problem(port: int, request: bytes, read: Callable[[Answer], np.ndarray], expected: np.ndarray) -> str:
    try:
        answer = Connection(port).exchange(request)
        if answer.status != 200:
            return f"answered {answer.status}: {answer.body[:300]!r}"
        found = read(answer)
    except Exception as error:  # whatever is wrong with a peer is told, and ends no run
        return f"{type(error).__name__}: {error}"[:300]
    near = found.shape == expected.shape and np.allclose(found, expected, rtol=1e-3, atol=1e-4)
    return "" if near else "answered other values than the model"


def measure(files: dict[str, Path], built: rie.Function, environment: dict[str, str], home: Path, plan: Plan) -> Any:
    """Figures by model, form, number of clients and subject; who is absent; versions."""
    figures: dict[str, Any] = {}
    absent: dict[str, str] = {}
    memory: dict[str, Any] = {}
    for model in MODELS:
        print(f"{model}: starting the servers", file=sys.stderr)
        stage = Stage(model, files[model], home)
        with ExitStack() as running:
            stage.start("ours", OURS, running)
            stage.start("gateway", GATEWAY, running)
            stage.start_function(built, environment, running)
            for name, peer in PEERS.items():
                stage.start(name, peer, running)
            print(f"{model}: {', '.join(stage.running)}", file=sys.stderr)
            figures[model] = rounds_of(stage.running, plan)
            memory[model] = {name: _memory(subject) for name, subject in stage.running.items()}
        absent |= {f"{name}, {model}": reason for name, reason in stage.absent.items()}
    versions = {name: version(peer) for name, peer in PEERS.items()} | {"ours": version(OURS)}
    return {"figures": figures, "memory": memory, "absent": absent, "versions": versions}


def _memory(subject: Subject) -> dict[str, float]:
    resident, processes = subject.memory()
    return {"rss_mib": round(resident / 2**20, 1), "processes": processes}


def rounds_of(running: dict[str, Subject], plan: Plan) -> dict[str, Any]:
    turns: dict[tuple[str, int, str], list[tuple[load.Turn, float]]] = defaultdict(list)
    order = list(running)
    for turn in range(plan.rounds + 1):
        for form in FORMS:
            for count in CLIENTS:
                order.append(order.pop(0))  # nobody is always the one after the same other
                for name in order:
                    subject = running[name]
                    if form in subject.requests and count <= subject.most:
                        # the round before the first warms everything up, and is short
                        done = _turn(subject, form, count, plan.seconds if turn else plan.seconds / 3)
                        if turn:
                            turns[form, count, name].append(done)
    found: dict[str, Any] = {form: {str(count): {} for count in CLIENTS} for form in FORMS}
    for (form, count, name), done in turns.items():
        found[form][str(count)][name] = _figures(done)
    return found


def _turn(subject: Subject, form: str, count: int, seconds: float) -> tuple[load.Turn, float]:
    clients, connections = subject.clients(form, count)
    before = subject.cpu()
    done = load.turn(clients, seconds, 10**9)
    used = subject.cpu() - before
    for connection in connections:
        connection.close()
    return done, used


def _figures(turns: list[tuple[load.Turn, float]]) -> dict[str, Any]:
    """Milliseconds, of all answers together and p50 of each round; CPU seconds per 1,000 answers."""
    latencies = sorted(latency * 1e3 for done, _ in turns for latency in done.latencies)
    found: dict[str, Any] = {"answers": len(latencies), "errors": sum(done.errors for done, _ in turns)}
    if latencies:
        found |= {f"p{p}_ms": round(latencies[(len(latencies) - 1) * p // 100], 3) for p in (50, 99)}
        found["p50s_ms"] = [round(statistics.median(done.latencies) * 1e3, 3) for done, _ in turns if done.latencies]
        found["rate"] = round(statistics.median(done.rate for done, _ in turns), 1)
        found["cpu_s_per_1000"] = round(sum(used for _, used in turns) / len(latencies) * 1e3, 4)
    problem = next((done.problem for done, _ in turns if done.problem), None)
    return found | ({"problem": problem} if problem else {})


def ratios(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Ours beside each peer, in the same web server: theirs over ours, above 1 where we need less."""
    rows = []
    for model, by_form in figures.items():
        for form, by_clients in by_form.items():
            for count, by_name in by_clients.items():
                mine = by_name.get("ours", {})
                for name in PEERS:
                    theirs = by_name.get(name, {})
                    if mine.get("answers") and theirs.get("answers"):
                        row = {"model": model, "form": form, "clients": count, "peer": name}
                        for figure in ("p50_ms", "cpu_s_per_1000"):
                            row[figure] = round(theirs[figure] / mine[figure], 3) if mine[figure] else None
                        rows.append(row)
    return rows
