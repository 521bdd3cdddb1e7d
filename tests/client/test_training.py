"""`amaas train`: jobs against the training function itself, local trainings with a script in the place of PyTorch's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from amaas import container, curve, trainings
from amaas.errors import AmaasError

from functions.training import app
from shared.config import Config
from shared.registry import keys, uploads
from shared.registry.log import Log
from shared.training import job as jobs
from tests.client import conftest
from tests.client.fake_service import TOKEN, Fake
from tests.client.gateway import Run, amaas, client, gateway, log
from tests.client.server import Server
from tests.jobs.conftest import BUCKET, Queue
from tests.registry.conftest import push

__all__ = ["amaas", "client", "gateway", "log"]  # fixtures


# ---- in the deployment


class Container(Queue):
    """Carries a job on by a step with every look of the client: a row of metrics each, then what `end` does."""

    def __init__(self, log: Log, end: Callable[[Log, str], None], rows: int = 3) -> None:
        super().__init__()
        self.log, self.end, self.rows, self.done = log, end, rows, 0

    def step(self, job: str) -> None:
        if self.done == self.rows:
            self.end(self.log, job)
            return
        self.done += 1
        jobs.say(self.log.store, job, 1, "running")
        lines = [json.dumps({"epoch": n, "validation_accuracy": n / 4}) for n in range(1, self.done + 1)]
        self.log.store.put(keys.training_metrics(job), "\n".join(lines).encode())


def registered(log: Log, job: str) -> None:
    ticket = uploads.open_ticket(log.store, "m", [uploads.File("model.onnx")], "ann", job)
    push(log, "m")
    uploads.advance(log.store, ticket, "registered", version=log.read("m").latest)


def failed(log: Log, job: str) -> None:
    jobs.say(log.store, job, 1, "failed", "the loss became nan in epoch 3: give a smaller --lr")


@pytest.fixture
def deployed(log: Log, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Container]:
    def make(end: Callable[[Log, str], None] = registered, **more: Any) -> Container:
        made = Container(log, end, **more)
        monkeypatch.setattr(app, "store", lambda: log.store)
        monkeypatch.setattr(app, "config", lambda: Config(bucket=BUCKET))
        monkeypatch.setattr(app, "queue", lambda: made)
        monkeypatch.setattr(trainings.time, "sleep", lambda _: made.step(jobs.ids(log.store)[0]))
        return made

    return make


ASK = ("train", "--data", "digits", "--model", "m")


def test_a_job_is_started_followed_and_its_version_named(amaas: Run, deployed: Any, log: Log) -> None:
    deployed()
    done = amaas(*ASK, "--", "--epochs", "3", "--size", "8", "8", "--no-flip", "--lr=-0.5")
    assert done.stdout == "m version 4 is registered\n"
    assert done.stderr.splitlines() == [f"epoch {n}  validation_accuracy {n / 4}" for n in (1, 2, 3)]
    [job] = jobs.ids(log.store)
    asked = jobs.read(log.store, job)
    assert asked.arguments == {"epochs": "3", "size": ["8", "8"], "no-flip": True, "lr": "-0.5"}
    assert log.read("m").aliases["production"].version == 1, "a training moves no alias by itself"
    told = json.loads(amaas("train", "--follow", job, "--json").stdout)
    assert (told["state"], told["version"], len(told["metrics"])) == ("succeeded", 4, 3)
    listed = amaas("train", "--list").stdout
    assert job in listed
    assert "succeeded" in listed


def test_a_new_version_gets_its_place(amaas: Run, deployed: Any) -> None:
    deployed()
    assert "production is now 90 to version 1, 10 to version 4" in amaas(*ASK, "--canary", "10").stdout
    deployed()
    assert "staging is now version 5" in amaas(*ASK, "--to", "staging").stdout
    deployed()
    said = amaas(*ASK, "--canary", "10", code=1).stderr
    assert "m version 6 is registered, but production is split already: amaas split m" in said
    deployed()
    done = json.loads(amaas(*ASK, "--to", "production", "--json").stdout)
    assert (done["version"], done["alias"]["version"]) == (7, 7)


def test_a_failed_job_tells_its_reason(amaas: Run, deployed: Any) -> None:
    deployed(failed)
    done = amaas(*ASK, code=1)
    assert "is failed: the loss became nan in epoch 3: give a smaller --lr" in done.stderr
    told = amaas(*ASK, "--json", code=1)
    assert json.loads(told.stdout)["state"] == "failed"


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
    done = amaas(*ASK, code=1)
    [job] = jobs.ids(log.store)
    assert f"; `amaas train --follow {job} --reports FOLDER` fetches its reports" in done.stderr
    done = amaas("train", "--follow", job, "--reports", str(tmp_path / "reports"), code=1)
    assert f"cleaning.json, curves.png: in {tmp_path / 'reports'}" in done.stderr
    assert (tmp_path / "reports" / "cleaning.json").read_bytes() == b'{"dropped": {}}'
    assert (tmp_path / "reports" / "curves.png").read_bytes() == b"picture"
    deployed()
    done = amaas(*ASK, "--reports", str(tmp_path / "none"))
    assert "has left no reports" in done.stderr
    assert "version 4 is registered" in done.stdout


def test_ctrl_c_detaches_and_the_job_goes_on(amaas: Run, deployed: Any, log: Log) -> None:
    def interrupted(log: Log, job: str) -> None:
        raise KeyboardInterrupt

    deployed(interrupted, rows=1)
    done = amaas(*ASK)
    [job] = jobs.ids(log.store)
    assert f"the job goes on: `amaas train --follow {job}` follows it" in done.stderr
    assert done.stdout == f"m training job {job} is running \n"
    assert jobs.cancelled(log.store, job) is None
    deployed(rows=1)
    assert "version 4 is registered" in amaas("train", "--follow", job).stdout


def test_without_waiting_and_cancelling(amaas: Run, deployed: Any, log: Log) -> None:
    queue = deployed()
    assert "is submitted" in amaas(*ASK, "--no-wait").stdout
    [job] = jobs.ids(log.store)
    assert "is cancelled" in amaas("train", "--cancel", job).stdout
    assert queue.stopped == [f"number-of-{job}"]
    assert f"training job {job} is cancelled: by request" in amaas("train", "--follow", job, code=1).stderr


def test_a_deployment_without_a_queue_names_the_other_way(
    amaas: Run, deployed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed()
    monkeypatch.setattr(app, "queue", lambda: None)
    assert "`amaas train --local` trains on your own machine" in amaas(*ASK, code=1).stderr


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--data", "d"),
        ("--model", "m"),
        ("--data", "d", "--model", "m", "--list"),
        ("--follow", "x", "--local"),
        ("--list", "--reports", "folder"),
        ("--data", "d", "--model", "m", "--docker", "image"),
        ("--data", "d", "--model", "m", "--canary", "100"),
    ],
)
def test_wrong_usage(amaas: Run, wrong: tuple[str, ...]) -> None:
    assert amaas("train", *wrong, code=2).stderr.startswith("Usage: ")


def test_options_that_are_none(amaas: Run, deployed: Any) -> None:
    deployed()
    assert "'3' belongs to no option" in amaas(*ASK, "--", "3", code=1).stderr
    assert "--lr is given twice" in amaas(*ASK, "--", "--lr", "1", "--lr", "2", code=1).stderr
    assert "--name is set by `amaas train` itself: --model" in amaas(*ASK, "--", "--name", "x", code=1).stderr


# ---- on this machine

SCRIPT = """
import argparse, json, os, signal, sys, time
from pathlib import Path
add = (made := argparse.ArgumentParser()).add_argument
for name in ("--data", "--out", "--name", "--epochs", "--end"): add(name)
add("--quiet", action="store_true")
s = made.parse_args()
out = Path(s.out)
if s.end == "refuse":
    sys.exit(print("training: the folder has no images: give another --data", file=sys.stderr) or 1)
if s.end == "crash":
    raise ValueError("a bug")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("training: stopped by SIGTERM", file=sys.stderr) or 75))
with (out / "metrics.jsonl").open("w") as log:
    for n in range(int(s.epochs)):
        print(json.dumps({"epoch": n + 1, "loss": 1 / (n + 1), "data": s.data}), file=log, flush=True)
        time.sleep(float(s.end or 0.05))
(out / "model.onnx").write_bytes(b"graph")
(out / "amaas.json").write_text(json.dumps({"name": s.name}))
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a training in it; commands run somewhere below."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    (tmp_path / "training" / "train.py").write_text(SCRIPT)
    (tmp_path / "below" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("AMAAS_TRAINING_PYTHON", sys.executable)
    return tmp_path


HERE = ("train", "--local", "--data", "data", "--model", "shoes")


def test_a_local_training_is_followed_pushed_and_named(run: conftest.Run, checkout: Path, fake: Fake) -> None:
    fake.add("shoes")
    done = run(*HERE, "--to", "production", "--", "--epochs", "4")
    assert done.exit_code == 0, done.output
    assert "shoes version 2 is registered, production is now version 2" in done.stdout
    rows = [line for line in done.stderr.splitlines() if line.startswith("epoch")]
    assert [row.split("  ")[0] for row in rows] == ["epoch 1", "epoch 2", "epoch 3", "epoch 4"]
    assert str(checkout / "below" / "data") in rows[0], "relative paths are the caller's"
    [upload] = fake.uploads.values()
    assert {file["name"] for file in upload["files"]} == {"model.onnx", "amaas.json"}


def test_rows_of_the_run_before_are_not_shown_again(run: conftest.Run, checkout: Path, fake: Fake) -> None:
    for count in (3, 2):
        done = run(*HERE, "--out", "out", "--", "--epochs", str(count))
        assert len([line for line in done.stderr.splitlines() if line.startswith("epoch")]) == count


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("refuse", "the training stopped: the folder has no images: give another --data"),
        ("crash", "the training ended with exit code 1: ValueError: a bug; see out/training.log"),
    ],
)
def test_a_local_failure_tells_why_and_pushes_nothing(
    run: conftest.Run, checkout: Path, fake: Fake, end: str, why: str
) -> None:
    (checkout / "below" / "out").mkdir()
    (checkout / "below" / "out" / "model.onnx").write_bytes(b"of a run before")
    done = run(*HERE, "--out", "out", "--", "--epochs", "1", "--end", end)
    assert (done.exit_code, why in done.stderr) == (1, True), done.stderr
    assert fake.uploads == {}


@pytest.mark.parametrize("own", ["--out=other", "--ou other", "--data x", "--name x", "--checkpoint x", "--help"])
def test_options_that_are_set_already_are_refused(run: conftest.Run, checkout: Path, fake: Fake, own: str) -> None:
    """Of two, the last holds: the package would be elsewhere, and that of a run before would be pushed."""
    (folder := checkout / "below" / ".local" / "training" / "shoes").mkdir(parents=True)
    for name in ("model.onnx", "amaas.json"):
        (folder / name).write_text("{}")
    done = run(*HERE, "--", "--epochs", "1", *own.split())
    assert done.exit_code == 1 and "is set by `amaas train` itself: " in done.stderr
    assert fake.uploads == {} and not (folder / "training.log").exists(), "nothing was started"


def test_a_package_of_a_run_before_is_not_pushed(run: conftest.Run, checkout: Path, fake: Fake) -> None:
    assert run(*HERE, "--", "--epochs", "1").exit_code == 0
    pushed = len(fake.uploads)
    (checkout / "training" / "train.py").write_text("")
    done = run(*HERE, "--", "--epochs", "1")
    assert done.exit_code == 1 and "what is in .local/training/shoes is of a run before" in done.stderr
    done = run(*HERE, "--out", "new", "--", "--epochs", "1")
    assert done.exit_code == 1 and "there is no model.onnx in new; see new/training.log" in done.stderr
    assert len(fake.uploads) == pushed


def test_a_package_that_could_not_be_sent_is_not_lost(run: conftest.Run, checkout: Path, fake: Fake) -> None:
    fake.models.clear()
    done = run("train", "--local", "--data", "data", "--model", "no name", "--out", "out", "--", "--epochs", "1")
    assert done.exit_code == 1
    assert "the package is in out: `amaas push out --model no name` sends it" in done.stderr


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_local_training_is_stopped_by_signals(server: Server, checkout: Path, told: signal.Signals) -> None:
    env = os.environ | {"AMAAS_URL": server.api_url, "AMAAS_TOKEN": TOKEN}
    line = [sys.executable, "-m", "amaas", *HERE, "--out", "out", "--", "--epochs", "9", "--end", "5"]
    process = subprocess.Popen(
        line, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
    )  # fmt: skip
    rows = checkout / "below" / "out" / "metrics.jsonl"
    deadline = time.monotonic() + 30
    while not (rows.exists() and rows.read_text()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if told == signal.SIGINT:
        os.killpg(process.pid, told)  # as a terminal does
    else:
        process.send_signal(told)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert ("stopped by SIGTERM" in said) or ("KeyboardInterrupt" in said), said
    assert server.fake.uploads == {}


def test_what_is_missing_is_named(
    run: conftest.Run, checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no training environment at /none" in run(*HERE, "--python", "/none").stderr
    monkeypatch.delenv("AMAAS_TRAINING_PYTHON")
    assert f"`make -C {checkout} .local/envs/training/.ready` sets it up" in run(*HERE).stderr
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "needs the checkout" in run(*HERE).stderr
    monkeypatch.setenv("PATH", "")
    assert "--docker needs Docker" in run(*HERE, "--docker", "image").stderr


@pytest.fixture
def docker(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's place is taken by a script that does what is behind the image's name. Returns where its options are."""
    docker = checkout / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(
        '#!/bin/sh\necho "$@" > "$ASKED"\nwhile [ "$1" != image ]; do shift; done\nshift 2\nexec "$PY" "$@"\n'
    )
    docker.chmod(0o755)
    for name, value in (
        ("PATH", f"{docker.parent}:/bin:/usr/bin"),
        ("ASKED", str(checkout / "asked")),
        ("PY", sys.executable),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    return checkout / "asked"


IN_DOCKER = (*HERE, "--out", "out", "--docker", "image", "--", "--epochs", "2")


def test_docker_sees_the_data_and_the_output(run: conftest.Run, checkout: Path, docker: Path) -> None:
    done = run(*IN_DOCKER)
    assert done.exit_code == 0, done.output
    asked = docker.read_text()
    below = checkout / "below"
    assert f"-v {below}/out:{below}/out -v {below}/data:{below}/data:ro image python -m training.train" in asked
    assert f"--user {os.getuid()}:{os.getgid()}" in asked


def test_docker_sees_what_the_options_name_and_the_credentials(
    run: conftest.Run, checkout: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = checkout / "below"
    for name in ("taught", "cache"):
        (below / name).mkdir()
    (below / "weights.pth").touch()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    given = ("--teacher", "taught", "--pretrained=weights.pth", "--root", "cache", "--epochs", "1")
    run("train", "--local", "--data", "s3://b/shoes", "--model", "shoes", "--docker", "image", "--", *given)
    asked = docker.read_text()
    assert f"-v {below}/taught:{below}/taught:ro -v {below}/weights.pth:{below}/weights.pth:ro" in asked
    assert f"-v {below}/cache:{below}/cache image" in asked, "downloads are kept there"
    assert f"--teacher {below}/taught --pretrained={below}/weights.pth --root {below}/cache" in asked
    assert "-e AMAAS_TOKEN -e AMAAS_TRAINING_PYTHON -e AMAAS_URL -e AWS_SECRET_ACCESS_KEY" in asked
    assert "do not tell" not in asked and TOKEN not in asked, "it would be in the list of processes"


def test_what_a_container_cannot_reach_is_refused(
    run: conftest.Run, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(*IN_DOCKER, "--teacher", "fashion-mnist@3")
    assert done.exit_code == 1 and "is the container: set AMAAS_URL to an address that it reaches" in done.stderr
    monkeypatch.setenv("AWS_PROFILE", "work")
    done = run("train", "--local", "--data", "s3://b/shoes", "--model", "shoes", "--docker", "image")
    assert done.exit_code == 1 and "the container does not see the file with the AWS profile" in done.stderr
    with pytest.raises(AmaasError, match="set AMAAS_URL and AMAAS_TOKEN for a registered model"):
        container.in_docker("image", "wine", Path("out"), ["--teacher", "fashion-mnist@3"])
    assert not docker.exists(), "it was not started"


def test_an_output_in_a_bucket_is_refused(run: conftest.Run, checkout: Path) -> None:
    done = run(*HERE, "--out", "s3://bucket/shoes", "--", "--epochs", "1")
    assert done.exit_code == 2 and "the folder is on this machine" in done.stderr
    assert not (checkout / "below" / "s3:").exists()


# ---- the picture


def test_the_curve_is_drawn_between_its_lowest_and_highest_value() -> None:
    rows = [{"epoch": n, "validation_accuracy": value, "loss": 9.0} for n, value in enumerate([0.5, 0.75, 1.0])]
    assert curve.picture(rows, height=2).splitlines() == ["validation_accuracy 1", "  1 ┤ ▁█", "0.5 ┤▁██"]
    assert curve.picture([]) == ""
    assert curve.picture([{"epoch": 1}]) == ""
    assert len(curve.picture([{"loss": n} for n in range(500)]).splitlines()[1]) <= 80


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"epoch": 1, "loss": 1.0, "validation_loss": 1.0, "validation_f1": 1.0}, "validation_f1"),
        ({"epoch": 1, "loss": 1.0, "validation_loss": 1.0}, "validation_loss"),
        ({"epoch": 1, "loss": 1.0, "seconds": 2}, "loss"),
        ({"epoch": 1, "note": "x"}, None),
    ],
)
def test_which_metric_is_drawn(row: dict[str, Any], key: str | None) -> None:
    assert curve.metric([row]) == key


def test_at_a_terminal_a_bar_and_the_curve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with curve.watching("job", 2, quiet=False) as report:
        for n in (1, 2):
            report({"state": "running", "attempts": 2, "metrics": [{"epoch": n, "validation_accuracy": n / 2}]})
    shown = capsys.readouterr().err
    assert "validation_accuracy 1" in shown
    assert "running, attempt 2, job" in shown
    assert "2/2" in shown


def test_the_client_gives_up_waiting(client: Any, deployed: Any) -> None:
    deployed(lambda log, job: None)
    job = client.train("m", "digits")["id"]
    with pytest.raises(AmaasError, match="is still submitted after 0 s; it goes on by itself"):
        client.training_wait(job, timeout=0)
