"""Arguments that a shell hands over and no call can have: a line of ours, with the exit status of wrong usage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from amaas import Client
from amaas.cli import tokens

from shared.access.limits import Limits
from shared.access.tokens import MAX_DAYS
from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.client.test_ending import PLAIN, one_line

BROKEN = os.fsdecode(b"caf\xe9")
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predict", "m", "--text", BROKEN], "is not UTF-8: put it into a file"),
        (["predict", "m", "--type", "text/plain", "--data", BROKEN], "is not UTF-8: put it into a file"),
        (["predict", "m", "--data", DEEP], "is not valid JSON"),
        (["infer", "m", "deep.json"], "is not valid JSON"),
        (["infer", "m", "utf-16.json"], "is not valid JSON"),
        (["token", "create", "t", "--scope", "infer", "--limit", "quotas=1"], "there is no limit 'quotas'"),
        (["token", "create", "t", "--scope", "infer", "--days", "4000"], "4000.0 is not in the range"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_wrong_usage(run: Run, service: Service, tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "deep.json").write_text(DEEP)
    (tmp_path / "utf-16.json").write_bytes(b"\xff\xfe{\0\xff")
    result = run(*arguments)
    assert result.exit_code == 2 and told in result.stderr and not service.calls


@pytest.mark.parametrize(("typed", "meant"), [("Push", "push"), ("pusg", "push"), ("xyz", None)])
def test_a_verb_that_is_misspelled(run: Run, typed: str, meant: str | None) -> None:
    result = run(typed)
    assert result.exit_code == 2 and f"No such command {typed!r}." in result.stderr
    assert (f"Did you mean {meant!r}?" in result.stderr) is (meant is not None)


def test_bounds_are_those_of_the_service() -> None:
    assert set(tokens.LIMITS) == {field.name for field in msgspec.structs.fields(Limits)}
    assert tokens.LONGEST == MAX_DAYS


def test_standard_input_that_is_closed(service: Service) -> None:
    env = {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"], **PLAIN}
    script = f'exec "{sys.executable}" -m amaas predict m - <&-'
    done = subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "standard input is closed: give a file" in done.stderr


def test_an_interruption_while_the_command_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    env = {**PLAIN, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-m", "amaas", "ls"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "amaas: interrupted\n")


def test_a_picture_of_what_has_none(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "explain", lambda *arguments, **options: {"method": "leave-one-out"})
    told = one_line(run("explain", "m", "--text", "the cat", "--out", "why.png"))
    assert "why.png is not written: only explanations of images are pictures" in told
    assert not (tmp_path / "why.png").exists()
