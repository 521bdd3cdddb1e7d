"""The code blocks of the README and of the pages that go on from it, run as a reader would run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud.conftest import ROOT, Cloud

pytestmark = pytest.mark.cloud
BLOCK = re.compile(r"^```(\w+)( norun)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = (ROOT / "README.md").read_text()
# in the order in which their shell blocks go on from each other
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("calling", "models", "releasing", "access")}
PAGES = {"README": README} | PAGES | {"training": (ROOT / "docs" / "training.md").read_text()}


def blocks(language: str) -> list[str]:
    found = [block for page in PAGES.values() for block in BLOCK.findall(page)]
    return [code for kind, skip, code in found if kind == language and not skip]


@pytest.fixture
def checkout(cloud: Cloud, tmp_path: Path) -> Path:
    """A folder that looks like a checkout after `make run`, but belongs to the tests' own deployment."""
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "envs").symlink_to(ROOT / ".local" / "envs")
    (tmp_path / ".local" / "amaas.json").symlink_to(cloud.home / "amaas.json")
    for name in ("layers", "examples", "client"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(checkout: Path, *command: str, stdin: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AMAAS", "AWS"))}
    done = subprocess.run(
        command, cwd=checkout, env=env, input=stdin, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_shell_blocks(checkout: Path) -> None:
    said = run(checkout, "bash", "-euo", "pipefail", stdin="\n".join(blocks("bash")))
    assert "Ankle boot" in said
    assert "my-model version 1 is registered" in said
    assert "first release" in said
    answered = dict(re.findall(r'(\d+) +"version": (\d)', said))
    assert set(answered.values()) == {"1", "2"}, "both versions of the split answered"
    assert "just to see it" in said
    assert "infer:fashion-*" in said, said[said.index("just to see it") :]


def test_the_sample_is_of_the_model_that_ships(cloud: Cloud) -> None:
    """`make readme` writes it; scores may differ in their last digit on another kind of processor."""
    [block] = re.findall(r"^```console\n\$ make run\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    printed = json.loads(block[block.index("{") : block.rindex("}\n") + 1])
    [asked] = re.findall(r"predicts for (\S+):", block)
    path, image = f"/models/{printed['model']}/predict", (ROOT / asked).read_bytes()
    answer = cloud.api.post(path, content=image, headers={"Content-Type": "image/png"}).json()
    assert [one["label"] for one in printed["predictions"]] == [one["label"] for one in answer["predictions"]]
    for written, given in zip(printed["predictions"], answer["predictions"], strict=True):
        assert abs(written["score"] - given["score"]) < 2e-6


def test_the_package_made_from_scikit_learn(checkout: Path) -> None:
    [code] = [code for kind, code in re.findall(r"^```python (sklearn)\n(.*?)^```$", PAGES["models"], re.M | re.S)]
    run(checkout, sys.executable, "-", stdin=code)
    amaas = str(ROOT / ".local" / "envs" / "client" / "bin" / "amaas")
    asked = next(line for line in PAGES["models"].splitlines() if line.startswith("$ amaas predict iris"))
    assert "iris version 1 is registered" in run(checkout, amaas, "push", "iris", stdin="")
    answer = json.loads(run(checkout, amaas, *shlex.split(asked)[2:], "--json", stdin=""))
    assert answer["predictions"][0]["label"] == "setosa"
    assert answer["predictions"][0]["score"] > 0.9


def test_python_blocks(checkout: Path) -> None:
    python = str(ROOT / ".local" / "envs" / "client" / "bin" / "python")
    first, second = (run(checkout, python, "-", stdin=code) for code in blocks("python"))
    assert "Ankle boot" in first
    assert "Spanish" in second and "class" in second


def test_only_what_costs_money_or_hours_is_left_out() -> None:
    skipped = [code for page in PAGES.values() for _, skip, code in BLOCK.findall(page) if skip]
    # of language models, which are no part of this product: test_openai_clients and tests/client have them; of the
    # inbox: test_inbox
    models = [
        ["from", "openai"],
        ["aws", "s3"],
        ["amaas", "rerank"],
        ["amaas", "chat"],
        ["amaas", "push"],
        ["from", "openai"],
    ]
    costly = [["make", "deploy"], ["make", "bundled-models"]]
    assert [code.split()[:2] for code in skipped] == costly[:1] + models + costly[1:]


def test_the_shown_output_is_of_this_product() -> None:
    shown = next(code for kind, _, code in BLOCK.findall(README) if kind == "console" and "ready" in code)
    for line in ("the embedded cloud is running", "building the functions", "publishing fashion-mnist", '"Ankle boot"'):
        assert line in shown
