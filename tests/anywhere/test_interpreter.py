"""Which Python everything uses: the one behind an activated environment, of a fitting version, said once."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tools import interpreter

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "interpreter.py"


def ask(python: Path | str, *arguments: str, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-I", str(SCRIPT), *arguments]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """make in a folder with nothing but the Makefile, and the interpreter's script."""
    (folder / "tools").mkdir(exist_ok=True)
    for name in ("Makefile", "tools/interpreter.py"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    env = {"PATH": os.defpath, "HOME": str(folder)} | variables
    return subprocess.run(["make", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_an_environment_stands_for_the_interpreter_that_it_was_made_from(tmp_path: Path) -> None:
    base = interpreter.base()
    venv.create(tmp_path / "one with späces", symlinks=True)
    inner = tmp_path / "one with späces" / "bin" / "python3"
    venv.create(tmp_path / "two", symlinks=True)
    for python in (sys.executable, base, inner, tmp_path / "two" / "bin" / "python3"):
        asked = ask(python)
        assert (asked.stdout.strip(), asked.stderr) == (base, "")
    assert Path(base).parent != Path(sys.executable).parent, "the tests run in an environment"


def test_make_uses_the_interpreter_behind_what_comes_first_on_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "a path with späces"
    folder.mkdir()
    venv.create(tmp_path / "active", symlinks=True)
    first = {"PATH": f"{tmp_path / 'active' / 'bin'}:{os.defpath}", "VIRTUAL_ENV": str(tmp_path / "active")}
    done = make(folder, ".local/python", **first)
    assert done.stdout.splitlines()[-1].endswith(f": {interpreter.base()}"), done.stderr
    assert (folder / ".local" / "python").read_text().startswith(interpreter.base())


def test_the_note_is_written_anew_only_when_it_changes(tmp_path: Path) -> None:
    assert make(tmp_path, ".local/python", f"PYTHON={sys.executable}").returncode == 0
    note = tmp_path / ".local" / "python"
    os.utime(note, (1, 1))
    make(tmp_path, ".local/python", f"PYTHON={sys.executable}")
    assert note.stat().st_mtime == 1
    moved = tmp_path / "moved"
    (tmp_path / ".local").rename(tmp_path / "kept")
    moved.mkdir()
    (tmp_path / "kept").rename(moved / ".local")
    make(moved, ".local/python", f"PYTHON={sys.executable}")
    assert (moved / ".local" / "python").stat().st_mtime > 1, "environments do not survive a move"


@pytest.mark.parametrize(
    ("version", "said"), [((3, 9), "is Python"), ((3, interpreter.NEWEST[1] + 1), "is Python"), ((3, 11), "")]
)
def test_what_does_not_fit_is_said(version: tuple[int, int], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter.sys, "version_info", (*version, 0, "final", 0))
    assert (said in interpreter.unfit()) if said else (interpreter.unfit() == "")


def test_an_old_python_gives_way_to_a_fitting_one_unless_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"python3.{sys.version_info[1]}"
    (tmp_path / name).symlink_to(interpreter.base())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(interpreter, "unfit", lambda: "/usr/bin/python3 is Python 3.9.2")
    monkeypatch.setattr(sys, "argv", ["interpreter.py", "--or-another"])
    interpreter.main()
    assert capsys.readouterr().out.strip() == interpreter.base()
    monkeypatch.setattr(sys, "argv", ["interpreter.py"])
    with pytest.raises(SystemExit, match=r"3\.9\.2; make needs CPython 3\.11 to 3\.14.*make PYTHON="):
        interpreter.main()


def test_without_any_python_make_says_what_is_needed(tmp_path: Path) -> None:
    done = make(tmp_path, ".local/python", "PYTHON=/nowhere/python3")
    assert done.returncode != 0
    assert "make PYTHON=/path/to/python3" in done.stderr
