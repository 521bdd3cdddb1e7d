"""`make run` in a fresh clone with nothing but make and a Python: see conftest.py."""

from __future__ import annotations

import re
from pathlib import Path

from tests.anywhere.conftest import Clone
from tools import interpreter


def test_make_run_ends_with_a_prediction_and_the_api_answers_another(clone: Clone) -> None:
    assert '"Ankle boot"' in clone.shown
    image = next((clone.folder / "examples" / "images").glob("*ankle-boot.png"))
    answer = clone.call("POST", "/models/fashion-mnist/predict", image.read_bytes(), "image/png")
    assert answer["predictions"][0]["label"] == "Ankle boot"


def test_all_environments_are_of_the_interpreter_that_was_said(clone: Clone) -> None:
    assert re.findall(r"^Python 3\..*$", clone.shown, re.MULTILINE) == [clone.shown.splitlines()[0]]
    assert clone.shown.splitlines()[0].endswith(f": {interpreter.base()}")
    environments = sorted((clone.folder / ".local" / "envs").iterdir())
    assert [environment.name for environment in environments] == ["build", "client", "cloud", "sam"]
    for environment in environments:
        lines = (environment / "pyvenv.cfg").read_text().splitlines()
        [home] = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
        assert Path(home).resolve() == Path(interpreter.base()).parent, environment
