"""Makes a small real model of a Python package that has its weights, and pushes it: python -m examples.models NAME

It runs in the environment `language`, which has the packages; `amaas` of the environment `client` pushes.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

from examples.models.kept import ROOT, note

HOME = ROOT / ".local" / "language"
AMAAS = ROOT / ".local" / "envs" / "client" / "bin" / "amaas"
MODELS = {"smollm2": "smollm2", "whisper-base": "whisper_base"}  # to the module that makes it
QUESTION, SPOKEN = "What is the capital of France?", "Please call me back before noon tomorrow."


def main(name: str, home: Path, amaas: Path) -> None:
    folder = import_module(f"examples.models.{MODELS[name]}").package(home)
    state = push(name, folder, home / f"{name}.pushed", amaas)
    command, shown = trial(name, f"{name}@{state['version']}", home, amaas)  # a later version waits to be promoted
    print(f"$ {shown}", flush=True)
    raise SystemExit(subprocess.run(command, check=False, cwd=ROOT).returncode)


def trial(name: str, reference: str, home: Path, amaas: Path) -> tuple[list[str], str]:
    """A command that has the model answer something, and how it is shown."""
    if name == "smollm2":
        arguments = ["chat", reference, QUESTION]
        return [str(amaas), *arguments], f"amaas {shlex.join(arguments)}"
    from examples.models import voice

    sound = voice.write(home / "spoken.wav", *voice.speak([SPOKEN]))
    arguments = ["examples/transcribe.py", reference, os.path.relpath(sound, ROOT)]
    return [str(amaas.with_name("python")), *arguments], f"python {shlex.join(arguments)}   # {SPOKEN}"


def push(name: str, folder: Path, noted: Path, amaas: Path) -> dict[str, Any]:
    """`amaas push`, unless this folder, made of the same, is a version already. Returns the upload's state.

    noted: the file that says what was pushed. Raises SystemExit where the push fails: its messages are on stderr.
    """
    made_of = note(folder).read_text()
    before = json.loads(noted.read_text()) if noted.is_file() else None
    if before and before["made_of"] == made_of and _is_there(name, before["state"], amaas):
        return dict(before["state"])
    command = [str(amaas), "push", str(folder), "--model", name, "--json"]
    pushed = subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if pushed.returncode:
        raise SystemExit(pushed.returncode)
    state: dict[str, Any] = json.loads(pushed.stdout)
    noted.write_text(json.dumps({"made_of": made_of, "state": state}))
    return state


def _is_there(name: str, state: dict[str, Any], amaas: Path) -> bool:
    """Whether the version that came of the upload is there: another deployment has others."""
    command = [str(amaas), "show", f"{name}@{state['version']}", "--json"]
    shown = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    return shown.returncode == 0 and json.loads(shown.stdout)["upload"] == state["upload_id"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.models", description=__doc__)
    parser.add_argument("name", choices=tuple(MODELS))
    parser.add_argument("--home", type=Path, default=HOME, help="where models are kept (.local/language)")
    parser.add_argument("--amaas", type=Path, default=AMAAS, help="the client's command")
    chosen = parser.parse_args()
    main(chosen.name, chosen.home, chosen.amaas)
