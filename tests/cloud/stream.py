"""A stream of uploads, moves, batch jobs and calls over HTTP, from clients that repeat what they got no answer to.

What was acknowledged is written down; check() then says what of it is lost, doubled, wrong or without an end.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from tests.cloud.conftest import Cloud
from tests.support import linear

RUNNING = ("planning", "running")
ROWS = 12
CHUNK = 3
PATIENCE = 240.0  # seconds for one call with all its repetitions
FINAL = ("registered", "rejected", "failed", "expired")
INPUT = {"inputs": {"x": [[1, 0]]}}


class Stream:
    """Of two models, whose versions answer with a number of their own; and of one model for jobs.

    busy: calls and jobs that are going on, by the function that is at work. uploads: model and value by id; moves:
    model and version by reason; answers: model, version and value. repetitions: of calls that got no answer.
    """

    def __init__(self, cloud: Cloud, name: str, seed: int) -> None:
        self._cloud = cloud
        self._api = httpx.Client(base_url=cloud.access["api_url"], headers=dict(cloud.api.headers), timeout=60)
        self._chance = random.Random(seed)
        self.models = [f"{name}-a", f"{name}-b"]
        self.fixed = f"{name}-jobs"
        self.name = name
        self.busy: Counter[str] = Counter()
        self.uploads: dict[str, tuple[str, float]] = {}
        self.moves: dict[str, tuple[str, int]] = {}
        self.jobs: list[str] = []
        self.answers: set[tuple[str, int, float]] = set()
        self.repetitions = self.calls = self.unanswered = 0
        self._targets: dict[str, int] = {}
        self._lock = threading.Lock()
        self._failed: list[BaseException] = []

    # ---- the clients

    def prepare(self) -> None:
        """The model of the jobs, and two versions of each other one."""
        assert self._cloud.upload(self.fixed, {"model.onnx": linear([[1.0], [0.0]])})["state"] == "registered"
        for model in self.models:
            for value in (1000.0, 2000.0):
                self.upload(model, value)
        while self._unfinished():
            time.sleep(0.3)
        for model in self.models:  # the first version is in production already: that would be no record
            self.move(model, 2, f"{self.name} first {model}")

    def run(self, enough: threading.Event) -> None:
        """All at the same time, until it is enough, and what was begun then has an answer."""
        steps = (self._upload_one, self._run_job, self._move_once, self._call_once)
        threads = [threading.Thread(target=self._repeat, args=(step, enough), daemon=True) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _repeat(self, step: Callable[[], None], enough: threading.Event) -> None:
        try:
            while not enough.is_set() and not self._failed:
                step()
                enough.wait(0.2)
        except BaseException as error:
            self._failed.append(error)

    def send(self, function: str, method: str, path: str, body: dict[str, Any], key: str) -> httpx.Response:
        """The answer to a call, repeated with its key until there is one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._lock:
                self.busy[function] += 1
            try:
                answer = self._api.request(method, path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                answer = httpx.Response(502)
            finally:
                with self._lock:
                    self.busy[function] -= 1
            pause = answer.headers.get("Retry-After")
            if answer.status_code < 500 and answer.status_code != 429 and not (answer.status_code == 409 and pause):
                return answer
            self.repetitions += 1
            assert time.monotonic() < deadline, f"{method} {path}: {answer.status_code} {answer.text}"
            time.sleep(min(float(pause or 0.5), 5.0))

    def upload(self, model: str, value: float) -> None:
        body = linear([[value], [0.0]])
        announced = {"files": [{"name": "model.onnx", "size": len(body)}]}
        answer = self.send(
            "UploadFunction", "POST", f"/models/{model}/uploads", announced, f"upload-{model}-{value:.0f}"
        )
        assert answer.status_code == 201, answer.text
        [target] = answer.json()["files"]
        put = httpx.put(target["url"], content=body, headers=target["headers"], timeout=60)
        assert put.status_code in (200, 412), put.text
        self.uploads[answer.json()["upload_id"]] = (model, value)

    def move(self, model: str, version: int, reason: str) -> None:
        path, body = f"/models/{model}/aliases/production", {"version": version, "reason": reason}
        answer = self.send("RegistryFunction", "PUT", path, body, reason.replace(" ", "-"))
        assert answer.status_code == 200, answer.text
        self.moves[reason] = (model, version)
        self._targets[model] = version

    def _upload_one(self) -> None:
        """And wait for its end, but for no more than 10 seconds: it may have been killed."""
        self.upload(self._chance.choice(self.models), float(len(self.uploads)))
        deadline = time.monotonic() + 10
        with self._lock:
            self.busy["IngestFunction"] = 1
        while self._unfinished() and time.monotonic() < deadline:
            time.sleep(0.3)
        with self._lock:
            self.busy["IngestFunction"] = 0

    def _unfinished(self) -> list[str]:
        return [one for one in list(self.uploads) if self._state(one)["state"] not in FINAL]

    def _state(self, upload: str) -> dict[str, Any]:
        answer = self._read(f"/uploads/{upload}")
        return answer if answer else {"state": "unknown"}

    def _read(self, path: str) -> dict[str, Any]:
        try:
            answer = self._api.get(path)
        except httpx.TransportError:
            return {}
        return dict(answer.json()) if answer.status_code in (200, 202) else {}

    def _run_job(self) -> None:
        """And wait for its end, but for no more than 20 seconds."""
        rows = "".join(json.dumps({"inputs": {"x": [[float(n), 0.0]]}}) + "\n" for n in range(ROWS)).encode()
        key = f"{self.name}-job-{len(self.jobs)}"
        body = {"files": [{"name": "rows.jsonl", "size": len(rows)}], "chunk": CHUNK}
        answer = self.send("BatchFunction", "POST", f"/models/{self.fixed}/batch", body, key)
        assert answer.status_code == 201, answer.text
        job = answer.json()["id"]
        [target] = answer.json()["files"]
        assert httpx.put(target["url"], content=rows, headers=target["headers"], timeout=60).status_code == 200
        self.jobs.append(job)
        started = self.send("BatchFunction", "POST", f"/batch/{job}/start", {}, f"{key}-start")
        assert started.status_code in (200, 202), started.text
        deadline = time.monotonic() + 20
        while (state := self._job_state(job)) in (*RUNNING, "unknown") and time.monotonic() < deadline:
            with self._lock:
                self.busy["BatchplanFunction"] = int(state == "planning")
                self.busy["BatchworkFunction"] = int(state == "running")
            time.sleep(0.2)
        with self._lock:
            self.busy["BatchplanFunction"] = self.busy["BatchworkFunction"] = 0

    def _job_state(self, job: str) -> str:
        return str(self._read(f"/batch/{job}").get("state", "unknown"))

    def _move_once(self) -> None:
        """To another version than the present one: each move is a record."""
        model = self._chance.choice(self.models)
        present = [int(one["version"]) for one in self._read(f"/models/{model}").get("versions", [])]
        others = [number for number in present if number != self._targets[model]]
        if others:
            self.move(model, self._chance.choice(others), f"{self.name} move {len(self.moves)}")

    def _call_once(self) -> None:
        model = self._chance.choice(self.models)
        with self._lock:
            self.busy["InferenceFunction"] += 1
        try:
            answer = self._api.post(f"/models/{model}/predict", json=INPUT)
        except httpx.TransportError:
            self.unanswered += 1
            return
        finally:
            with self._lock:
                self.busy["InferenceFunction"] -= 1
        self.calls += 1
        if answer.status_code >= 500:
            self.unanswered += 1
            return
        assert answer.status_code == 200, answer.text
        value = answer.json()["outputs"]["y"][0][0]
        self.answers.add((model, int(answer.headers["x-amaas-version"]), value))
