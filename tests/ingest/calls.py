"""Calls a model, as the gate serves it, in a process of its own: its answer, or the signal that ended the process."""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Limits, Verdict
from tests.ingest.conftest import package


def served(folder: Path, model: bytes, limits: Limits | None = None) -> tuple[bytes, Verdict]:
    verdict = check_model(package(folder, {"model.onnx": model}), None, limits)
    assert verdict.accepted, (verdict.code, verdict.reason)
    return verdict.optimized or model, verdict


def called(model: bytes, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | str:
    """The outputs; "BadInput: …" where the model refuses them; the signal's name where the process ends."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(writer, pickle.dumps(_answer(model, feeds)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        body = answers.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        return signal.Signals(-status).name
    answer: list[np.ndarray] | str = pickle.loads(body)
    return answer


def _answer(model: bytes, feeds: dict[str, np.ndarray]) -> Any:
    from shared.runtime import onnx

    try:
        return onnx.load(model).run(None, feeds)
    except BadInput as error:
        return f"BadInput: {error}"
