"""Completion: installed by one command, and what the shell gets by it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

from tests.client.conftest import Run
from tests.client.test_ending import PLAIN


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "a home's"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return place


def command(folder: Path) -> str:
    """A folder for PATH with `amaas` in it, of this tree."""
    folder.mkdir()
    (folder / "amaas").write_text(f'#!/bin/sh\nexec {quote(sys.executable)} -m amaas "$@"\n')
    (folder / "amaas").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_bash_completes(run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/bash")
    (home / ".bashrc").write_text("export MINE=1")  # and no line feed at its end
    assert "bash completes amaas in new shells" in run("completion", "install").stdout
    run("completion", "install")
    assert (home / ".bashrc").read_text().count("completion of amaas") == 1
    bash = shutil.which("bash")
    assert bash is not None
    asked = (
        'source ~/.bashrc; COMP_WORDS=(amaas "$@"); COMP_CWORD=$#; _amaas_completion amaas; echo $MINE ${COMPREPLY[@]}'
    )
    env = PLAIN | {"HOME": str(home), "PATH": command(tmp_path / "bin")}
    for words, expected in (
        (["prof"], "1 profiles"),
        (["batch", "foll"], "1 follow"),
        (["predict", "--top"], "1 --top-k"),
        (["zzz"], "1"),
    ):
        done = subprocess.run([bash, "-c", asked, "bash", *words], env=env, capture_output=True, text=True, check=True)
        assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_fish_and_zsh(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/fish")
    told = json.loads(run("completion", "install", "--json").stdout)
    file = home / ".config" / "fish" / "completions" / "amaas.fish"
    assert told == {"shell": "fish", "file": str(file), "settings": None}
    assert "_AMAAS_COMPLETE=fish_complete" in file.read_text()
    told = json.loads(run("completion", "install", "--shell", "zsh", "--json").stdout)
    assert told["settings"] == str(home / ".zshrc")
    line = (home / ".zshrc").read_text()
    assert "compinit" in line and "#compdef amaas" in Path(told["file"]).read_text()
    assert subprocess.run(["/bin/sh", "-n", str(home / ".zshrc")], check=False).returncode == 0


def test_the_script_alone(run: Run, home: Path) -> None:
    shown = run("completion", "show", "--shell", "bash").stdout
    assert "_AMAAS_COMPLETE=bash_complete" in shown
    assert subprocess.run(["bash", "-n"], input=shown, text=True, check=False).returncode == 0
    assert not list(home.iterdir())


@pytest.mark.parametrize("shell", ["", "/bin/tcsh"])
def test_a_shell_that_is_not_known(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("SHELL", shell)
    refused = run("completion", "install")
    assert refused.exit_code == 2 and "give --shell, one of bash, zsh, fish" in refused.stderr


def test_a_home_that_cannot_be_written(run: Run, home: Path) -> None:
    (home / ".local").write_text("in the way")
    refused = run("completion", "install", "--shell", "bash")
    assert refused.exit_code == 1 and "cannot be written" in refused.stderr and refused.stderr.count("\n") == 1
