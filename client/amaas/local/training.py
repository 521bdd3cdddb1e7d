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

PAUSE = 0.5
SAYS = "training: "  # why it ended; what goes wrong while it goes on begins with "note: "
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # by itself, and as `docker run` tells it
DOCKERS_OWN = 125  # the container was not even started; why comes first, then how to get help
LOG = "training.log"
PACKAGE = ("model.onnx", "amaas.json")  # what a training writes last


@dataclass(frozen=True)
class Training:
    """command: without its options."""

    command: list[str]
    env: dict[str, str]


def environment(python: str | None) -> tuple[Path, Path]:
    """The Python of the training environment, and the checkout around this folder. Raises AmaasError.

    python: else AMAAS_TRAINING_PYTHON, else the checkout's own.
    """
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / "training" / "train.py").is_file()), None)
    if root is None:
        raise AmaasError(
            "training on this machine needs the checkout, which is not found from here: change into it, "
            "or give --docker IMAGE"
        )
    given = python or os.environ.get("AMAAS_TRAINING_PYTHON")
    chosen = Path(given) if given else root / ".local" / "envs" / "training" / "bin" / "python"
    if not shutil.which(chosen):
        made = f"`make -C {root} .local/envs/training/.ready` sets it up"
        hint = "give another with --python or AMAAS_TRAINING_PYTHON" if given else made
        raise AmaasError(f"there is no training environment at {chosen}: {hint}")
    return chosen.absolute(), root


def on_python(python: str | None) -> Training:
    """In a checkout, by its training environment or the Python that is given."""
    chosen, root = environment(python)
    return Training([str(chosen), "-m", "training.train"], importing(root))


def importing(root: Path) -> dict[str, str]:
    """The variables with which a Python finds a checkout's modules from any folder."""
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def trained(model: str) -> Path:
    """Where a training on this machine leaves its package, unless it is told otherwise."""
    return Path(".local") / "training" / model


def run(
    training: Training,
    model: str,
    data: str,
    out: Path,
    more: Sequence[str],
    on_state: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Train into `out`; returns all rows of metrics. Raises AmaasError with the training's own reason.

    It runs in the caller's folder, and reads `data` and `more` as they are written: what `wine` or `./wine` means, it
    decides. on_state is told as of a training job. What the process prints is in training.log, in `out`. After an
    interruption, the same call goes on at the last checkpoint.
    """
    out.mkdir(parents=True, exist_ok=True)
    own = ["--data", data, "--out", str(out.resolve()), "--name", model, "--quiet"]
    rows, before = Rows(out / "metrics.jsonl"), [_stamp(out / name) for name in PACKAGE]
    with (out / LOG).open("w") as log:
        process = subprocess.Popen(
            [*training.command, *own, *more],
            env=training.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            with _handing_on(process):
                while process.poll() is None:
                    on_state({"state": "running", "metrics": rows.new()})
                    try:
                        process.wait(PAUSE)
                    except subprocess.TimeoutExpired:
                        pass
        except KeyboardInterrupt:
            process.wait()  # it was told by the same key
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    on_state({"state": "stopped" if process.returncode else "trained", "metrics": rows.new()})
    if process.returncode:
        raise AmaasError(_reason(out / LOG, process.returncode))
    _check_written(out, before)
    return rows.all


def told(out: Path) -> list[str]:
    """What is to be known of a training that has ended well: its notes, how good it is, and where all of it is."""
    notes = [line for line in _lines(out / LOG) if line.startswith("note: ")]
    manifest = json.loads((out / "amaas.json").read_text(encoding="utf-8"))
    metrics, dropped = manifest.get("metrics") or {}, (manifest.get("dataset") or {}).get("dropped") or {}
    counted = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "none"
    if "test_accuracy" in metrics:
        low, high = metrics["test_interval"]
        good = f"test accuracy {metrics['test_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
        notes.append(f"{good}, items dropped: {counted}")
    return [*notes, f"package, curves and {LOG} are in {out}"]


def _check_written(out: Path, before: list[int | None]) -> None:
    """Raises AmaasError where the package is that of a run before, or none."""
    for name, earlier in zip(PACKAGE, before, strict=True):
        if _stamp(out / name) in (None, earlier):
            kept = f"what is in {out} is of a run before" if earlier else f"there is no {name} in {out}"
            raise AmaasError(f"the training ended without writing a package: {kept}; see {out / LOG}")


def _stamp(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


@contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM goes to the training, which writes a checkpoint and ends."""
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Rows:
    """What the training has written since it began; a file of a run before it is none of it."""

    def __init__(self, file: Path) -> None:
        self.file, self.all = file, list[dict[str, Any]]()
        self.before = _stamp(file)

    def new(self) -> list[dict[str, Any]]:
        if _stamp(self.file) in (None, self.before):
            return []
        lines = self.file.read_bytes().split(b"\n")[:-1]  # the last one may not be whole yet
        found = [json.loads(line) for line in lines[len(self.all) :]]
        self.all += found
        return found


def _reason(log: Path, code: int) -> str:
    """A training that was killed had no time to say why: what it said is of before."""
    if code in KILLED:
        return f"the training was killed, most often because memory ran out: give a smaller --batch; see {log}"
    if code == -signal.SIGINT:
        return "the training was stopped before it could write anything down: the same command starts it"
    lines = _lines(log)
    own = [line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)]
    if own:
        return f"the training stopped: {own[-1]}"
    last = lines[0 if code == DOCKERS_OWN else -1][:300] if lines else "it said nothing"
    return f"the training ended with exit code {code}: {last}; see {log}"


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
