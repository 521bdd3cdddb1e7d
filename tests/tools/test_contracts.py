"""The import contracts are closed by default: a copy of the sources, with a violation of each planted, is found out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import closure, lengths

ROOT = closure.ROOT
CONTRACTS = re.findall(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

# file → its source, and what the output must say
UNLISTED = {
    "shared/serving/planted.py": ("import boto3", "shared.serving.planted -> boto3"),
    "shared/jobs/batch/planted_powertools.py": (
        "import aws_lambda_powertools",
        "shared.jobs.batch.planted_powertools -> aws_lambda_powertools",
    ),
    "shared/registry/planted_runtime.py": ("import onnxruntime", "shared.registry.planted_runtime -> onnxruntime"),
    "shared/ingest/planted_unknown.py": ("import nobody_knows", "shared.ingest.planted_unknown -> nobody_knows"),
    "shared/signing/planted_within.py": ("def f():\n    import boto3", "shared.signing.planted_within -> boto3"),
    "client/amaas/planted.py": ("import shared.errors", "amaas.planted -> shared"),
    "training/planted.py": ("import functions.upload.app", "training.planted -> functions"),
} | {
    f"{folder}/planted_{other}.py": (f"import {other}", f"{folder.replace('/', '.')}.planted_{other} -> {other}")
    for folder in ("shared/registry", "functions/upload")
    for other in ("local", "tools", "bench", "tests", "amaas", "training", "ops", "api")
}
OTHERS = {
    "shared/registry/planted_up.py": ("import shared.serving.planted", "shared.registry.planted_up -> shared.serving"),
    "shared/newroom/__init__.py": ("", "newroom"),
    "functions/upload/planted_function.py": (
        "import functions.batch.app",
        "functions.upload.planted_function -> functions.batch.app",
    ),
    "shared/access/planted_entry.py": ("import shared.entry.http", "shared.access.planted_entry -> shared.entry"),
    "client/amaas/api/planted_up.py": ("import amaas.cli.base", "amaas.api.planted_up -> amaas.cli.base"),
    "client/amaas/cli/planted_circle.py": ("import amaas.cli.planted_back", "planted_back"),
    "client/amaas/cli/planted_back.py": ("import amaas.cli.planted_circle", "planted_circle"),
    "shared/serving/tasks/planted_tokens.py": (
        "import shared.runtime.tokens",
        "planted_tokens -> shared.runtime.tokens",
    ),
    "tests/cloud/planted_bench.py": ("import bench.page", "tests.cloud.planted_bench -> bench"),
    "tools/planted_circle.py": ("import tools.planted_back", "planted_back"),
    "tools/planted_back.py": ("import tools.planted_circle", "planted_circle"),
    "training/compress/planted_step.py": ("", "planted_step"),
    "training/language/planted_form.py": ("", "planted_form"),
    "training/kinds/planted_ring.py": ("import training.kinds.planted_return", "planted_return"),
    "training/kinds/planted_return.py": ("import training.kinds.planted_ring", "planted_ring"),
    "training/kinds/planted_registry.py": (
        "import shared.registry.log",
        "training.kinds.planted_registry -> shared.registry.log",
    ),
}


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> str:
    copy = tmp_path_factory.mktemp("planted") / "sources"
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "pyproject.toml"]
    for name in subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for name, (source, _) in (UNLISTED | OTHERS).items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(source + "\n")
    # the client is installed from where it lies: the copy of it comes first
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{copy}:{copy / 'client'}", "COLUMNS": "200"}
    done = subprocess.run([LINT_IMPORTS], cwd=copy, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return re.sub(r"[ \t]+", " ", done.stdout)


@pytest.mark.parametrize("file", UNLISTED)
def test_what_is_not_listed_is_refused(verdict: str, file: str) -> None:
    assert f"{UNLISTED[file][1]} is not listed" in verdict


@pytest.mark.parametrize("file", OTHERS)
def test_floors_rooms_functions_and_circles_are_held(verdict: str, file: str) -> None:
    assert OTHERS[file][1] in verdict


@pytest.mark.parametrize(
    "contract", re.findall(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
)
def test_no_contract_lets_everything_pass(verdict: str, contract: str) -> None:
    assert f"{contract} BROKEN" in verdict


def test_what_is_too_long_is_named() -> None:
    body = b"def short():\n    pass\n\n\ndef long():\n" + b"    pass\n" * 40
    assert list(lengths.too_long("m.py", body)) == ["m.py::long"]
    assert list(lengths.too_long("m.py", b"x = 1\n" * 301)) == ["m.py"]
    assert list(lengths.too_long("m.py", body[:-9])) == []
