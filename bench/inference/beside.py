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

from bench import deployed, load
from bench.inference.inside import bare
from bench.inference.page import CLIENTS, FORMS
from bench.inference.peers import OURS, PEERS, Form, Peer
from bench.load import Answer, Connection, written
from tests import emulator


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

    def turn(self, form: str, count: int, seconds: float) -> tuple[load.Turn, float]:
        """And the CPU seconds that it took."""
        connections = [Connection(self.port) for _ in range(count)]
        before = self.cpu()
        done = load.turn([_client(connection, self.requests[form]) for connection in connections], seconds)
        used = self.cpu() - before
        for connection in connections:
            connection.close()
        return done, used


def _client(connection: Connection, request: bytes) -> Callable[[], None]:
    def call() -> None:
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
    running: ExitStack
    subjects: dict[str, Subject] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, subject: Subject, forms: dict[str, Form]) -> None:
        """Take a server in, in the forms in which it answers what the bare model does."""
        self.subjects[name] = subject
        expected = bare(self.path, self.model)()[0].reshape(-1)
        for form, (call, read) in forms.items():
            request = written("POST", call.path, call.headers, call.body, subject.port)
            problem = _problem(subject.port, request, read, expected)
            if problem:
                self.absent[f"{name}, {self.model}, {form}"] = problem
            else:
                subject.requests[form] = request

    def start(self, name: str, peer: Peer, env: dict[str, str]) -> None:
        try:
            server, port = peer.start(self.model, self.path, self.home / f"{name}-{self.model}.txt", env)
        except RuntimeError as error:
            self.absent[f"{name}, {self.model}"] = str(error)[-1500:]
            return
        self.running.enter_context(server)
        self.add(name, Subject(port, server.cpu, server.memory, max(CLIENTS)), peer.forms(self.model))

    def start_function(self, function: emulator.Function) -> None:
        try:
            emulated = self.running.enter_context(deployed.started(function, self.home))
        except (RuntimeError, OSError) as error:
            self.absent[f"function, {self.model}"] = str(error)[-1500:]
            return
        forms = {form: Form(call, deployed.read) for form, call in deployed.calls(self.model).items()}
        self.add("function", Subject(emulated.port, emulated.cpu, emulated.memory, 1), forms)


def _problem(port: int, request: bytes, read: Callable[[Answer], np.ndarray], expected: np.ndarray) -> str:
    try:
        answer = Connection(port).exchange(request)
        if answer.status != 200:
            return f"answered {answer.status}: {answer.body[:300]!r}"
        output = read(answer)
    except Exception as error:  # whatever is wrong with a peer is said, and ends no run
        return f"{type(error).__name__}: {error}"[:300]
    near = output.shape == expected.shape and np.allclose(output, expected, rtol=1e-3, atol=1e-4)
    return "" if near else "answered other values than the model"


def measure(
    files: dict[str, Path], function: emulator.Function, bucket: deployed.Bucket, home: Path, plan: Plan
) -> dict[str, Any]:
    """Figures by model, form, number of clients and server; who is absent; versions. The models are in the bucket."""
    result: dict[str, Any] = {"plan": vars(plan), "figures": {}, "memory": {}, "absent": {}}
    env = bucket.environment() | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    function = emulator.Function(function.code, function.handler, function.layers, env)
    for model, path in files.items():
        print(f"{model}: starting the servers", file=sys.stderr)
        with ExitStack() as running:
            stage = Stage(model, path, home, running)
            stage.start("ours", OURS, env)
            stage.start("gateway", OURS, env | {"REPLAY": "1"})
            stage.start_function(function)
            for name, peer in PEERS.items():
                stage.start(name, peer, {})
            print(f"{model}: {', '.join(stage.subjects)}", file=sys.stderr)
            result["figures"][model] = rounds_of(stage.subjects, plan)
            result["memory"][model] = {name: _memory(subject) for name, subject in stage.subjects.items()}
        result["absent"] |= stage.absent
    result["versions"] = {name: peer.versions() for name, peer in {**PEERS, "ours": OURS}.items()}
    return result | {"ratios": ratios(result["figures"])}


def _memory(subject: Subject) -> dict[str, float]:
    resident, processes = subject.memory()
    return {"rss_mib": round(resident / 2**20, 1), "processes": processes}


def rounds_of(subjects: dict[str, Subject], plan: Plan) -> dict[str, Any]:
    turns: dict[tuple[str, int, str], list[tuple[load.Turn, float]]] = defaultdict(list)
    order = list(subjects)
    for turn in range(plan.rounds + 1):
        for form in FORMS:
            for count in CLIENTS:
                order.append(order.pop(0))  # nobody is always the one after the same other
                for name in order:
                    subject = subjects[name]
                    if form in subject.requests and count <= subject.most:
                        # the round before the first warms everything up, and is short
                        done = subject.turn(form, count, plan.seconds if turn else plan.seconds / 3)
                        if turn:
                            turns[form, count, name].append(done)
    figures: dict[str, Any] = {form: {str(count): {} for count in CLIENTS} for form in FORMS}
    for (form, count, name), done_turns in turns.items():
        figures[form][str(count)][name] = _figures(done_turns)
    return figures


def _figures(turns: list[tuple[load.Turn, float]]) -> dict[str, Any]:
    """Milliseconds, of all answers together and p50 of each round; CPU seconds per 1,000 answers."""
    latencies = sorted(latency * 1e3 for done, _ in turns for latency in done.latencies)
    figures: dict[str, Any] = {"answers": len(latencies), "errors": sum(done.errors for done, _ in turns)}
    if latencies:
        figures |= {f"p{p}_ms": round(latencies[(len(latencies) - 1) * p // 100], 3) for p in (50, 99)}
        figures["p50s_ms"] = [round(statistics.median(done.latencies) * 1e3, 3) for done, _ in turns if done.latencies]
        figures["rate"] = round(statistics.median(done.rate for done, _ in turns), 1)
        figures["cpu_s_per_1000"] = round(sum(used for _, used in turns) / len(latencies) * 1e3, 4)
    problem = next((done.problem for done, _ in turns if done.problem), None)
    return figures | ({"problem": problem} if problem else {})


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
