"""The training image: what is copied into it is enough, and, where one was built, it trains.

docker build -f training/Dockerfile -t amaas-training .
TRAINING_IMAGE=amaas-training .local/envs/training/bin/pytest tests/training/test_image.py
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
from amaas import container, local_training

from .conftest import SHORT

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "training" / "Dockerfile").read_text().splitlines()
COPIED = [line.split()[1:] for line in LINES if line.startswith("COPY ")]
IMAGE = os.environ.get("TRAINING_IMAGE", "")
needs_image = pytest.mark.skipif(not IMAGE, reason="TRAINING_IMAGE names no image that was built: see the docstring")


def test_the_image_starts_from_a_pinned_base_and_ends_as_nobody() -> None:
    [base] = [line.partition("=")[2] for line in LINES if line.startswith("ARG BASE_IMAGE=")]
    assert re.fullmatch(r"[a-z]+:3\.\d+-slim-[a-z]+", base), "a tag that says which Python on which Debian"
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
        "import training.job as job, amaas.package; job.PATIENCE = 1; print(job.__file__, amaas.package.__file__);"
        "sys_exit = job.main(['019bae2fd40-0123456789abcdef']); print(sys_exit)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines()[-1] == "75", done.stderr
    assert fnmatch.fnmatch(done.stdout, f"{tmp_path}/training/job.py {tmp_path}/amaas/package.py*")
    assert "training: the store is out of reach" in done.stderr


@needs_image
def test_the_image_trains(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    chosen = container.in_docker(IMAGE, str(folder), out)
    states: list[dict] = []
    rows = local_training.run(chosen, "sides", str(folder), out, [*SHORT, "--device", "cpu"], states.append)
    assert len(rows) == 6
    assert json.loads((out / "amaas.json").read_text())["name"] == "sides"
    assert (out / "model.onnx").stat().st_uid == os.getuid()
    line = [
        "docker",
        "run",
        "--rm",
        IMAGE,
        "python",
        "-c",
        "import os, training.job; print(os.getuid(), os.environ['HOME'])",
    ]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.split() == ["10001", "/tmp"]
