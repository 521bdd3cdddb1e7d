"""`amaas train`: jobs against the training function itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from amaas.api import training
from amaas.errors import AmaasError, ApiError, NotConnected

from functions.training import app
from shared import keys
from shared.config import Config
from shared.jobs.training import job as jobs
from shared.registry.log import Log
from shared.uploads import forms, states
from tests.client.conftest import Run
from tests.client.gateway import Service, Trouble
from tests.jobs_training.conftest import BUCKET, Queue
from tests.registry.conftest import push

pytestmark = pytest.mark.usefixtures("three_versions")


class Container(Queue):
    """Carries a job on by a step with every look of the client: a row of metrics each, then what `end` does."""

    def __init__(self, log: Log, end: Callable[[Log, str], None], rows: int = 3) -> None:
        super().__init__()
        self.log, self.end, self.rows, self.written = log, end, rows, 0

    def step(self, job: str) -> None:
        if self.written == self.rows:
            self.end(self.log, job)
            return
        self.written += 1
        jobs.write_report(self.log.store, job, 1, "running")
        lines = [json.dumps({"epoch": n, "validation_accuracy": n / 4}) for n in range(1, self.written + 1)]
        self.log.store.put(keys.training_metrics(job), "\n".join(lines).encode())


def registered(log: Log, job: str) -> None:
    ticket = states.open_session(log.store, "m", [forms.File("model.onnx")], "ann", job)
    push(log, "m")
    states.advance(log.store, ticket, "registered", version=log.read("m").latest)


def failed(log: Log, job: str) -> None:
    jobs.write_report(log.store, job, 1, "failed", "the loss became nan in epoch 3: give a smaller --lr")


@pytest.fixture
def deployed(log: Log, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Container]:
    def make(end: Callable[[Log, str], None] = registered, **more: Any) -> Container:
        container = Container(log, end, **more)
        monkeypatch.setattr(app, "store", lambda: log.store)
        monkeypatch.setattr(app, "config", lambda: Config(bucket=BUCKET))
        monkeypatch.setattr(app, "queue", lambda: container)
        monkeypatch.setattr(training.time, "sleep", lambda _: container.step(jobs.list_ids(log.store)[0]))
        return container

    return make


DIGITS = ("train", "--data", "digits", "--model", "m")


def test_a_job_is_started_followed_and_its_version_named(amaas: Run, deployed: Any, log: Log) -> None:
    deployed()
    result = amaas(*DIGITS, "--", "--epochs", "3", "--size", "8", "8", "--no-flip", "--lr=-0.5")
    assert result.stdout == "m version 4 is registered\n"
    [job] = jobs.list_ids(log.store)
    assert result.stderr.splitlines() == [
        f"amaas: job {job} is started: `amaas train follow {job}` follows it",
        *(f"epoch {n}  validation_accuracy {n / 4}" for n in (1, 2, 3)),
    ]
    request = jobs.read(log.store, job)
    assert request.arguments == {"epochs": "3", "size": ["8", "8"], "no-flip": True, "lr": "-0.5"}
    assert log.read("m").aliases["production"].version == 1, "a training moves no alias by itself"
    state = json.loads(amaas("train", "follow", job, "--json").stdout)
    assert (state["state"], state["version"], len(state["metrics"])) == ("succeeded", 4, 3)
    listed = amaas("train", "ls").stdout
    assert job in listed
    assert "succeeded" in listed


def test_a_new_version_gets_its_place(amaas: Run, deployed: Any) -> None:
    deployed()
    assert "production is now 90 to version 1, 10 to version 4" in amaas(*DIGITS, "--canary", "10").stdout
    deployed()
    assert "staging is now version 5" in amaas(*DIGITS, "--to", "staging").stdout
    deployed()
    error = amaas(*DIGITS, "--canary", "10", code=1).stderr
    assert "m version 6 is registered, but production is split already: give all weights by `amaas split m" in error
    deployed()
    result = json.loads(amaas(*DIGITS, "--to", "production", "--json").stdout)
    assert (result["version"], result["alias"]["version"]) == (7, 7)


def test_a_failed_job_tells_its_reason(amaas: Run, deployed: Any) -> None:
    deployed(failed)
    result = amaas(*DIGITS, code=1)
    assert "is failed: the loss became nan in epoch 3: give a smaller --lr" in result.stderr
    answer = amaas(*DIGITS, "--json", code=1)
    assert json.loads(answer.stdout)["state"] == "failed"


@pytest.fixture
def storage(log: Log, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The store's objects at presigned URLs, for who shows them no token."""

    class Objects(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"" if "Authorization" in self.headers else log.store.get(self.path[1:]).body
            self.send_response(200 if body else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Objects)
    Thread(target=server.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(log.store, "presign_get", lambda key, expires: f"{place}/{key}")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("storage")
def test_the_reports_of_a_job_are_fetched(amaas: Run, deployed: Any, log: Log, tmp_path: Path) -> None:
    def reported(log: Log, job: str) -> None:
        log.store.put(keys.training_report(job, "cleaning.json"), b'{"dropped": {}}')
        log.store.put(keys.training_report(job, "curves.png"), b"picture")
        failed(log, job)

    deployed(reported)
    result = amaas(*DIGITS, code=1)
    [job] = jobs.list_ids(log.store)
    assert f"; `amaas train reports {job} FOLDER` downloads its reports" in result.stderr
    result = amaas("train", "follow", job, "--reports", str(tmp_path / "reports"), code=1)
    assert f"cleaning.json, curves.png: in {tmp_path / 'reports'}" in result.stderr
    assert (tmp_path / "reports" / "cleaning.json").read_bytes() == b'{"dropped": {}}'
    assert (tmp_path / "reports" / "curves.png").read_bytes() == b"picture"
    deployed()
    result = amaas(*DIGITS, "--reports", str(tmp_path / "none"))
    assert "has no reports" in result.stderr
    assert "version 4 is registered" in result.stdout


def test_ctrl_c_detaches_and_the_job_goes_on(amaas: Run, deployed: Any, log: Log) -> None:
    def interrupted(log: Log, job: str) -> None:
        raise KeyboardInterrupt

    deployed(interrupted, rows=1)
    result = amaas(*DIGITS, code=130)
    [job] = jobs.list_ids(log.store)
    assert f"the job goes on: `amaas train follow {job}` follows it" in result.stderr
    assert result.stdout == ""
    assert jobs.read_cancellation(log.store, job) is None
    deployed(rows=1)
    assert "version 4 is registered" in amaas("train", "follow", job).stdout


def test_a_connection_that_comes_back_is_waited_for(amaas: Run, deployed: Any, service: Service, log: Log) -> None:
    away: list[str] = []

    def lost(log: Log, job: str) -> None:
        if not away:
            away.append(job)
            service.trouble = [Trouble("", "", 0, times=10, after=True)]  # more than the attempts of two calls
        elif not service.trouble[0].times:
            registered(log, job)

    deployed(lost, rows=1)
    assert "version 4 is registered" in amaas(*DIGITS).stdout


def test_a_connection_that_stays_lost_says_how_to_go_on(
    amaas: Run, client: Any, deployed: Any, service: Service, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(log: Log, job: str) -> None:
        service.trouble = [Trouble("", "", 0, times=10_000)]

    deployed(lost, rows=1)
    slept: list[float] = []
    step = training.time.sleep
    monkeypatch.setattr(training.time, "sleep", lambda seconds: slept.append(seconds) or step(seconds))
    result = amaas(*DIGITS, code=1)
    [job] = jobs.list_ids(log.store)
    assert (
        f"the job goes on without the client: `amaas train follow {job}` follows it" in result.stderr.splitlines()[-1]
    )
    assert 240 < sum(slept) < 600 and max(slept) == 60, "minutes, with pauses that grow"
    with pytest.raises(NotConnected, match=f"`amaas train follow {job}`"):
        client.wait_for_training_job(job, timeout=1)
    assert slept[-1] < 1, "no longer than it was told"
    service.trouble = []
    deployed(rows=1)
    assert "version 4 is registered" in amaas("train", "follow", job).stdout


def test_what_the_service_refuses_is_not_waited_for(client: Any, deployed: Any) -> None:
    deployed()
    with pytest.raises(ApiError, match="there is no training job"):
        client.wait_for_training_job("019bae2fd40-0123456789abcdef")


def test_without_waiting_and_cancelling(amaas: Run, deployed: Any, log: Log) -> None:
    queue = deployed()
    assert "is submitted" in amaas(*DIGITS, "--no-wait").stdout
    [job] = jobs.list_ids(log.store)
    assert "is submitted: cancel it" in amaas("train", "rm", job, code=1).stderr
    assert "is cancelled" in amaas("train", "cancel", job).stdout
    assert "objects removed" in amaas("train", "rm", job).stdout
    assert queue.stopped == [f"id-of-{job}"]
    assert f"training job {job} is cancelled: by request" in amaas("train", "follow", job, code=1).stderr


def test_options_that_became_verbs_still_work(amaas: Run, deployed: Any, log: Log) -> None:
    deployed()
    amaas(*DIGITS, "--no-wait")
    [job] = jobs.list_ids(log.store)
    assert json.loads(amaas("train", "--json", "--list").stdout)[0]["id"] == job
    assert f"training job {job} is submitted" in amaas("train", "--follow", job, "--no-wait").stdout
    assert amaas("train", "show", job).stdout == amaas("train", "--no-wait", f"--follow={job}").stdout
    assert "staging is now version 4" in amaas("train", "--to", "staging", "--follow", job).stdout
    amaas(*DIGITS, "--no-wait")
    assert "is cancelled" in amaas("train", "--cancel", jobs.list_ids(log.store)[0]).stdout


def test_a_deployment_without_a_queue_names_the_other_way(
    amaas: Run, deployed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed()
    monkeypatch.setattr(app, "queue", lambda: None)
    assert "`amaas train --local` trains on your own machine" in amaas(*DIGITS, code=1).stderr


def test_what_was_forgotten_is_named(amaas: Run) -> None:
    here = amaas("train", "--data", "./shapes", "--model", "m", code=2).stderr
    assert "./shapes is on this machine: --local trains here" in here
    behind = amaas("train", "--local", "--data", "d", "--model", "m", "--epochs", "3", code=2).stderr
    assert "--epochs is not an option of `amaas train`. Options of the training go behind `--`: -- --epochs" in behind


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--data", "d"),
        ("--model", "m"),
        ("--data", "d", "--model", "m", "--list"),
        ("--follow", "x", "--local"),
        ("--list", "--reports", "folder"),
        ("run", "--data", "d", "--model", "m", "--reports", "folder", "--no-wait"),
        ("follow",),
        ("--data", "d", "--model", "m", "--docker", "image"),
        ("--data", "d", "--model", "m", "--canary", "100"),
    ],
)
def test_wrong_usage(amaas: Run, wrong: tuple[str, ...]) -> None:
    assert amaas("train", *wrong, code=2).stderr.startswith("Usage: ")


def test_options_that_are_none(amaas: Run, deployed: Any) -> None:
    deployed()
    assert "'3' belongs to no option" in amaas(*DIGITS, "--", "3", code=1).stderr
    assert "--lr is given twice" in amaas(*DIGITS, "--", "--lr", "1", "--lr", "2", code=1).stderr
    assert "--name is set by `amaas train` itself: give --model" in amaas(*DIGITS, "--", "--name", "x", code=1).stderr


def test_the_client_gives_up_waiting(client: Any, deployed: Any) -> None:
    deployed(lambda log, job: None)
    job = client.create_training_job("m", "digits")["id"]
    with pytest.raises(AmaasError, match="is still submitted after 0 s; it goes on without the client"):
        client.wait_for_training_job(job, timeout=0)
