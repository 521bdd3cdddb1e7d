"""The training image: what is copied into it is enough; where Docker is to be had, it is built, and trains.

A daemon must answer `docker info`, and the base must be there or be pulled: BASE_IMAGE, else BASE below. TRAINING_IMAGE
names an image that is built already.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaas.local import docker as container
from amaas.local import training

from .conftest import SHORT

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "training" / "Dockerfile").read_text().splitlines()
COPIED = [line.split()[1:] for line in LINES if line.startswith("COPY ")]
BASE = next(line.partition("=")[2] for line in LINES if line.startswith("ARG BASE_IMAGE="))
BUILT = "amaas-training:of-the-tests"


def docker(*line: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *line], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture(scope="module")
def image() -> str:
    """The image that TRAINING_IMAGE names, or one that is built here, from the base by its digest where it has one."""
    if named := os.environ.get("TRAINING_IMAGE"):
        return named
    if not shutil.which("docker"):
        pytest.skip("Docker is not on this machine")
    if (asked := docker("info")).returncode:
        pytest.skip(f"no Docker daemon answers: {last(asked.stderr)}")
    base = os.environ.get("BASE_IMAGE", BASE)
    if docker("image", "inspect", base).returncode and (pulled := docker("pull", base, seconds=600)).returncode:
        pytest.skip(f"the base image {base} is not here, and cannot be had: {last(pulled.stderr)}")
    digest = docker("image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", base).stdout.split()
    source = (digest or [base])[0]
    line = ["build", "--build-arg", f"BASE_IMAGE={source}", "-f", "training/Dockerfile", "-t", BUILT, "."]
    made = docker(*line, seconds=3600)
    assert made.returncode == 0, made.stderr[-3000:]
    return BUILT


def last(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1][:300]


def test_the_dockerfile_starts_from_one_release_installs_by_hash_and_ends_as_nobody() -> None:
    """A tag of a release; that a deployment gives a digest instead, nobody checks."""
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", BASE)
    assert [line for line in LINES if line.startswith(("ARG", "FROM"))][1:] == ["FROM ${BASE_IMAGE}", "ARG BASE_IMAGE"]
    assert "LABEL org.opencontainers.image.base.name=${BASE_IMAGE}" in LINES
    [user] = [line.split()[1] for line in LINES if line.startswith("USER ")]
    assert int(user.split(":")[0]) > 0
    assert any("--require-hashes" in line for line in LINES)


def test_the_context_has_what_is_copied_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert {source for source, _ in COPIED} == allowed


def test_what_is_copied_is_enough(tmp_path: Path) -> None:
    """The container's command finds its modules without the checkout, and without what the client needs."""
    for source, target in COPIED:
        place = tmp_path / target.removeprefix("/amaas/")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
    blocked = "import sys; sys.modules |= dict.fromkeys(('click', 'httpx', 'rich'))"
    (tmp_path / "sitecustomize.py").write_text(blocked)
    env = {
        "PYTHONPATH": str(tmp_path),
        "PATH": os.environ["PATH"],
        "BUCKET": "b",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    env |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    code = (
        "import training.job.run as job, amaas.api.package; job.ATTEMPTS = 1;"
        "print(job.__file__, amaas.api.package.__file__);"
        "sys_exit = job.main(['019bae2fd40-0123456789abcdef']); print(sys_exit)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines()[-1] == "75", done.stderr
    assert fnmatch.fnmatch(done.stdout, f"{tmp_path}/training/job/run.py {tmp_path}/amaas/api/package.py*")
    assert "training: the store cannot be reached" in done.stderr


def test_the_image_trains(image: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    chosen = container.in_docker(image, str(folder), out)
    states: list[dict] = []
    rows = training.run(chosen, "sides", str(folder), out, [*SHORT, "--device", "cpu"], states.append)
    assert len(rows) == 6
    assert json.loads((out / "amaas.json").read_text())["name"] == "sides"
    assert (out / "model.onnx").stat().st_uid == os.getuid()


def test_the_image_runs_as_nobody_on_a_python_that_the_lock_is_for(image: str) -> None:
    code = "import os, sys, training.job.run; print(os.getuid(), os.environ['HOME'], sys.version_info.minor)"
    told = docker("run", "--rm", image, "python", "-c", code)
    user, home, minor = told.stdout.split()
    assert (user, home) == ("10001", "/tmp")
    assert 11 <= int(minor) <= 13
