"""A training on this machine: the same process that a training job runs, followed by the metrics that it writes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaas.errors import AmaasError

Json = dict[str, Any]
POLL = 0.5  # seconds
REASON = "training: "  # how the line begins that says why it ended
NOTE = "note: "  # and those about what goes wrong, and does not end it
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # exit codes of the process itself, and of `docker run`
DOCKER_FAILED = 125  # the container was not even started; the reason comes first, then how to get help
LOG = "training.log"
PACKAGE = ("model.onnx", "amaas.json")  # what a training writes last


@dataclass(frozen=True)
class TrainingCommand:
    """How a training is started: the command without the training's options, and its environment."""

    command: list[str]
    env: dict[str, str]


def environment(python: str | None) -> tuple[Path, Path]:
    """The Python of the training environment, and the checkout around this folder. Raises AmaasError.

    python: by default AMAAS_TRAINING_PYTHON, else the checkout's own.
    """
    here = Path.cwd()
    checkout = next((folder for folder in (here, *here.parents) if (folder / "training" / "train.py").is_file()), None)
    if checkout is None:
        raise AmaasError(
            "training on this machine needs a checkout, and this folder is not in one: change into it, or give "
            "--docker IMAGE"
        )
    explicit = python or os.environ.get("AMAAS_TRAINING_PYTHON")
    path = Path(explicit) if explicit else checkout / ".local" / "envs" / "training" / "bin" / "python"
    if not shutil.which(path):
        setup = f"`make -C {checkout} .local/envs/training/.ready` sets it up"
        hint = "give another with --python or AMAAS_TRAINING_PYTHON" if explicit else setup
        raise AmaasError(f"there is no training environment at {path}: {hint}")
    return path.absolute(), checkout


def on_python(python: str | None) -> TrainingCommand:
    """In a checkout, by its training environment or the given Python."""
    path, checkout = environment(python)
    return TrainingCommand([str(path), "-m", "training.train"], with_modules_of(checkout))


def with_modules_of(checkout: Path) -> dict[str, str]:
    """The environment in which a Python imports a checkout's modules from any folder."""
    path = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def package_folder(model: str) -> Path:
    """Where a training on this machine writes its package by default."""
    return Path(".local") / "training" / model


def run(
    training: TrainingCommand,
    model: str,
    data: str,
    out: Path,
    options: Sequence[str],
    on_state: Callable[[Json], None],
) -> list[Json]:
    """Train into `out`; returns all rows of metrics. Raises AmaasError with the training's own reason.

    It runs in the caller's folder, and gets `data` and `options` as they are. on_state gets states as of a training
    job. The process's output is in training.log, in `out`. After an interruption, the same call resumes at the last
    checkpoint.
    """
    out.mkdir(parents=True, exist_ok=True)
    own = ["--data", data, "--out", str(out.resolve()), "--name", model, "--quiet"]
    metrics, earlier = Metrics(out / "metrics.jsonl"), [_stamp(out / name) for name in PACKAGE]
    with (out / LOG).open("w") as log:
        process = subprocess.Popen(
            [*training.command, *own, *options],
            env=training.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        _wait(process, lambda: on_state({"state": "running", "metrics": metrics.new_rows()}))
    on_state({"state": "stopped" if process.returncode else "trained", "metrics": metrics.new_rows()})
    if process.returncode:
        raise AmaasError(_reason(out / LOG, process.returncode))
    _check_written(out, earlier)
    return metrics.rows


def _wait(process: subprocess.Popen[bytes], on_poll: Callable[[], None]) -> None:
    """Until the process ends. Interrupted, it is ended first."""
    try:
        with _forwarding_sigterm(process):
            while process.poll() is None:
                on_poll()
                try:
                    process.wait(POLL)
                except subprocess.TimeoutExpired:
                    pass
    except KeyboardInterrupt:
        process.wait()  # the terminal has sent SIGINT to it as well
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def summary(out: Path) -> list[str]:
    """What to know of a training that has succeeded: its notes, its accuracy, and where everything is."""
    lines = [line for line in _lines(out / LOG) if line.startswith(NOTE)]
    manifest = json.loads((out / "amaas.json").read_text(encoding="utf-8"))
    metrics, dropped = manifest.get("metrics") or {}, (manifest.get("dataset") or {}).get("dropped") or {}
    counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "none"
    if "test_accuracy" in metrics:
        low, high = metrics["test_interval"]
        accuracy = f"test accuracy {metrics['test_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
        lines.append(f"{accuracy}, items dropped: {counts}")
    return [*lines, f"package, curves and {LOG} are in {out}"]


def _check_written(out: Path, earlier: list[int | None]) -> None:
    """Raises AmaasError if the package is missing, or that of an earlier run."""
    for name, stamp in zip(PACKAGE, earlier, strict=True):
        if _stamp(out / name) in (None, stamp):
            present = f"what is in {out} is of a run before" if stamp else f"there is no {name} in {out}"
            raise AmaasError(f"the training ended without writing a package: {present}; see {out / LOG}")


def _stamp(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


@contextmanager
def _forwarding_sigterm(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM goes to the training, which writes a checkpoint and ends."""
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class Metrics:
    """The rows that the training has written since it began; a file of an earlier run is ignored."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[Json] = []
        self.earlier = _stamp(file)

    def new_rows(self) -> list[Json]:
        if _stamp(self.file) in (None, self.earlier):
            return []
        lines = self.file.read_bytes().split(b"\n")[:-1]  # the last one may not be complete yet
        rows = [json.loads(line) for line in lines[len(self.rows) :]]
        self.rows += rows
        return rows


def _reason(log: Path, code: int) -> str:
    """Why a training ended. One that was killed could not say: its last lines are about something else."""
    if code in KILLED:
        return f"the training was killed, most often because memory ran out: give a smaller --batch; see {log}"
    if code == -signal.SIGINT:
        return "the training was stopped before it had written a checkpoint: the same command starts it again"
    lines = _lines(log)
    reasons = [line.removeprefix(REASON) for line in lines if line.startswith(REASON)]
    if reasons:
        return f"the training stopped: {reasons[-1]}"
    last = lines[0 if code == DOCKER_FAILED else -1][:300] if lines else "it printed nothing"
    return f"the training ended with exit code {code}: {last}; see {log}"


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
