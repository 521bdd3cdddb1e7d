"""What training measures with is what serves."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from shared.runtime import onnx
from training import served
from training.errors import TrainingError

from .packages import matmul

ROOT = Path(__file__).resolve().parents[2]


def test_no_session_is_made_elsewhere() -> None:
    """Another session has other options, so other kernels, so other answers than the service's."""
    sources = {path: path.read_text() for path in (ROOT / "training").rglob("*.py")}
    assert not [path for path, text in sources.items() if re.search(r"InferenceSession\(|SessionOptions\(", text)]
    makers = [path.name for path, text in sources.items() if re.search(r"\bonnx\.load\(.+, threads", text)]
    assert makers == ["served.py"]


def test_a_session_has_the_options_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (matmul(tmp_path / "plain") / "model.onnx").read_bytes()
    options: list[tuple[int, str]] = []
    real = onnx._options

    def spy(threads: int, optimize: str) -> object:
        options.append((threads, optimize))
        return real(threads, optimize)

    monkeypatch.setattr(onnx, "_options", spy)
    running = served.served(body, threads=1)
    assert options == [(1, "all")]
    assert running.run(None, {"x": np.ones((2, 64), np.float32)})[0].shape == (2, 64)


def test_what_does_not_load_is_an_error_of_training() -> None:
    with pytest.raises(TrainingError, match=r"cannot load the model.*export the model again"):
        served.served(b"no model")
