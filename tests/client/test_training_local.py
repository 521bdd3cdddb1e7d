"""`amaas train --local`: with a script, and a docker, in the place of the real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from amaas.errors import AmaasError
from amaas.local import docker as container

from shared.registry.log import Log
from tests.client import conftest
from tests.client.gateway import Service
from tests.registry.conftest import push

SCRIPT = """
import argparse, json, os, signal, sys, time
from pathlib import Path
add = (made := argparse.ArgumentParser(allow_abbrev=False)).add_argument
for name in ("--data", "--out", "--name", "--epochs", "--end"): add(name)
add("--quiet", action="store_true")
s = made.parse_args()
out = Path(s.out)
if s.end == "refuse":
    sys.exit(print("training: the folder has no images: give another --data", file=sys.stderr) or 1)
if s.end == "crash":
    raise ValueError("a bug")
if s.end in ("killed", "137"):
    print("training: the checkpoint could not be written; the training goes on", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if s.end == "killed" else sys.exit(137)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("training: stopped by SIGTERM", file=sys.stderr) or 75))
with (out / "metrics.jsonl").open("w") as log:
    for n in range(int(s.epochs)):
        row = {"epoch": n + 1, "loss": 1 / (n + 1), "data": s.data, "at": os.getcwd()}
        print(json.dumps(row), file=log, flush=True)
        time.sleep(float(s.end or 0.05))
(out / "model.onnx").write_bytes(b"graph")
print("note: few items")
metrics = {"test_accuracy": 0.6667, "test_interval": [0.5, 0.8]}
made = {"name": s.name, "metrics": metrics, "dataset": {"dropped": {"duplicate": 2}}}
(out / "amaas.json").write_text(json.dumps(made))
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


def test_a_local_training_is_followed_pushed_and_named(
    run: conftest.Run, checkout: Path, service: Service, log: Log
) -> None:
    push(log, "shoes")
    result = run(*HERE, "--to", "production", "--", "--epochs", "4")
    assert result.exit_code == 0, result.output
    assert "shoes version 2 is registered, production is now version 2" in result.stdout
    rows = [line for line in result.stderr.splitlines() if line.startswith("epoch")]
    assert [row.split("  ")[0] for row in rows] == ["epoch 1", "epoch 2", "epoch 3", "epoch 4"]
    assert rows[0].endswith(f"data data  at {checkout / 'below'}"), "relative paths are the caller's"
    assert result.stderr.splitlines()[-3:] == [
        "amaas: note: few items",
        "amaas: test accuracy 66.67% (95 % interval 50.00% to 80.00%), items dropped: 2 duplicate",
        "amaas: package, curves and training.log are in .local/training/shoes",
    ]
    assert set(service.sent_files()) == {"model.onnx", "amaas.json"}


def test_a_name_is_left_to_the_training(run: conftest.Run, checkout: Path, service: Service) -> None:
    """To it, wine is its own data set and ./wine the folder; there being one must not change what is trained on."""
    (checkout / "below" / "wine").mkdir()
    for name in ("wine", "./wine"):
        result = run("train", "--local", "--data", name, "--model", "shoes", "--", "--epochs", "1")
        assert f"data {name}  at " in result.stderr, result.output


def test_rows_of_the_run_before_are_not_shown_again(run: conftest.Run, checkout: Path, service: Service) -> None:
    for count in (3, 2):
        result = run(*HERE, "--out", "out", "--", "--epochs", str(count))
        assert len([line for line in result.stderr.splitlines() if line.startswith("epoch")]) == count


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("refuse", "the training stopped: the folder has no images: give another --data"),
        ("crash", "the training ended with exit code 1: ValueError: a bug; see out/training.log"),
        ("killed", "the training was killed, most often because memory ran out: give a smaller --batch; see out/"),
        ("137", "the training was killed, most often because memory ran out: give a smaller --batch; see out/"),
    ],
)
def test_a_local_failure_tells_why_and_pushes_nothing(
    run: conftest.Run, checkout: Path, service: Service, end: str, why: str
) -> None:
    (checkout / "below" / "out").mkdir()
    (checkout / "below" / "out" / "model.onnx").write_bytes(b"of a run before")
    result = run(*HERE, "--out", "out", "--", "--epochs", "1", "--end", end)
    assert (result.exit_code, why in result.stderr) == (1, True), result.stderr
    assert not service.sent_files()


@pytest.mark.parametrize("own", ["--out=other", "--data x", "--name x", "--checkpoint x", "--help"])
def test_options_that_are_set_already_are_refused(
    run: conftest.Run, checkout: Path, service: Service, own: str
) -> None:
    """Of two, the last holds: the package would be elsewhere, and that of a run before would be pushed."""
    (folder := checkout / "below" / ".local" / "training" / "shoes").mkdir(parents=True)
    for name in ("model.onnx", "amaas.json"):
        (folder / name).write_text("{}")
    result = run(*HERE, "--", "--epochs", "1", *own.split())
    assert result.exit_code == 1 and "is set by `amaas train` itself: " in result.stderr
    assert not service.sent_files() and not (folder / "training.log").exists(), "nothing was started"


def test_an_option_has_one_name(run: conftest.Run, checkout: Path, service: Service) -> None:
    """The training takes none by its beginning, so that the client need not look for them."""
    result = run(*HERE, "--", "--epochs", "1", "--ou", "other")
    assert result.exit_code == 1 and "exit code 2: train.py: error: unrecognized arguments: --ou other" in result.stderr
    assert not service.sent_files() and not (checkout / "below" / "other").exists()


def test_a_package_of_a_run_before_is_not_pushed(run: conftest.Run, checkout: Path, service: Service) -> None:
    assert run(*HERE, "--", "--epochs", "1").exit_code == 0
    pushed = service.received("POST", "uploads")
    (checkout / "training" / "train.py").write_text("")
    result = run(*HERE, "--", "--epochs", "1")
    assert result.exit_code == 1 and "what is in .local/training/shoes is of a run before" in result.stderr
    result = run(*HERE, "--out", "new", "--", "--epochs", "1")
    assert result.exit_code == 1 and "there is no model.onnx in new; see new/training.log" in result.stderr
    assert service.received("POST", "uploads") == pushed


def test_a_package_that_could_not_be_sent_is_not_lost(run: conftest.Run, checkout: Path, service: Service) -> None:
    result = run("train", "--local", "--data", "data", "--model", "no name", "--out", "out", "--", "--epochs", "1")
    assert result.exit_code == 1
    assert "the package is in out: `amaas push out --model no name` sends it" in result.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_local_training_is_stopped_by_signals(service: Service, checkout: Path, sent: signal.Signals) -> None:
    env = os.environ | {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"]}
    line = [sys.executable, "-m", "amaas", *HERE, "--out", "out", "--", "--epochs", "9", "--end", "5"]
    process = subprocess.Popen(
        line, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
    )  # fmt: skip
    rows = checkout / "below" / "out" / "metrics.jsonl"
    while not (rows.exists() and rows.read_text()):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does
    else:
        process.send_signal(sent)
    error = process.communicate()[1]
    assert process.returncode == 1
    assert ("stopped by SIGTERM" if sent == signal.SIGTERM else "the training was stopped") in error
    assert not service.sent_files()


def test_what_is_missing_is_named(
    run: conftest.Run, checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no training environment at /none" in run(*HERE, "--python", "/none").stderr
    monkeypatch.delenv("AMAAS_TRAINING_PYTHON")
    assert f"`make -C {checkout} .local/envs/training/.ready` sets it up" in run(*HERE).stderr
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "needs a checkout" in run(*HERE).stderr
    assert not Path(".local").exists(), "what is refused leaves nothing"
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
        ("ASKED", str(checkout / "options")),
        ("PY", sys.executable),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    return checkout / "options"


IN_DOCKER = (*HERE, "--out", "out", "--docker", "image", "--", "--epochs", "2")


def test_docker_sees_the_data_and_the_output(run: conftest.Run, checkout: Path, docker: Path) -> None:
    result = run(*IN_DOCKER)
    assert result.exit_code == 0, result.output
    options = docker.read_text()
    below = checkout / "below"
    assert f"-v {below}/out:{below}/out -v {below}/data:{below}/data:ro image python -m training.train" in options
    assert f"--workdir {below} " in options and "training.train --data data --out" in options, (
        "it means what it does here"
    )
    assert f"--user {os.getuid()}:{os.getgid()}" in options


def test_docker_sees_what_the_options_name_and_the_credentials(
    run: conftest.Run, checkout: Path, service: Service, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = checkout / "below"
    for name in ("taught", "cache"):
        (below / name).mkdir()
    (below / "weights.pth").touch()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    forwarded = ("--teacher", "taught", "--pretrained=weights.pth", "--root", "cache", "--epochs", "1")
    run("train", "--local", "--data", "s3://b/shoes", "--model", "shoes", "--docker", "image", "--", *forwarded)
    options = docker.read_text()
    assert f"-v {below}/taught:{below}/taught:ro -v {below}/weights.pth:{below}/weights.pth:ro" in options
    assert f"-v {below}/cache:{below}/cache image" in options, "downloads are kept there"
    assert "--teacher taught --pretrained=weights.pth --root cache" in options
    assert "-e AMAAS_TOKEN -e AMAAS_TRAINING_PYTHON -e AMAAS_URL -e AWS_SECRET_ACCESS_KEY" in options
    assert "do not tell" not in options and service.tokens["ann"] not in options, "it would be in the list of processes"


def test_docker_sees_behind_links(run: conftest.Run, checkout: Path, docker: Path) -> None:
    (checkout / "below" / "link").symlink_to(checkout / "below" / "data")
    run("train", "--local", "--data", "link", "--model", "shoes", "--docker", "image", "--", "--epochs", "1")
    assert f"-v {checkout}/below/data:{checkout}/below/link:ro" in docker.read_text()


def test_what_a_container_cannot_reach_is_refused(
    run: conftest.Run, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(*IN_DOCKER, "--teacher", "fashion-mnist@3")
    assert result.exit_code == 1 and "is the container: set AMAAS_URL to an address that it can reach" in result.stderr
    monkeypatch.setenv("AWS_PROFILE", "work")
    result = run("train", "--local", "--data", "s3://b/shoes", "--model", "shoes", "--docker", "image")
    assert result.exit_code == 1 and "the container does not see the file with the AWS profile" in result.stderr
    with pytest.raises(AmaasError, match="set AMAAS_URL and AMAAS_TOKEN for a registered model"):
        container.in_docker("image", "wine", Path("out"), ["--teacher", "fashion-mnist@3"])
    assert not docker.exists(), "it was not started"


def test_an_output_in_a_bucket_is_refused(run: conftest.Run, checkout: Path) -> None:
    result = run(*HERE, "--out", "s3://bucket/shoes", "--", "--epochs", "1")
    assert result.exit_code == 2 and "give a folder on this machine" in result.stderr
    assert not (checkout / "below" / "s3:").exists()
