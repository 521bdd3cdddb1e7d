"""Copies a run's output to the bucket as it goes on: a spot machine that is taken back takes its disk along."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from shared import keys
from shared.storage.base import ObjectNotFound, Store, Unavailable, list_all

CHECKPOINTS = "*.checkpoint"
REPORTS = {"cleaning.json": "application/json"} | dict.fromkeys(
    ("curves.png", "confusion.png", "calibration.png"), "image/png"
)


class Mirror:
    """Of one job's output folder: metrics as they come, checkpoints every so many seconds, reports at the end."""

    def __init__(self, store: Store, job: str, out: Path, seconds: float) -> None:
        self.store, self.job, self.out, self.seconds = store, job, out, seconds
        self.folder = out / "checkpoint"
        self.rows = b""
        self.checkpoints: set[str] = set()
        self.last = time.monotonic()

    def restore(self) -> None:
        """Put back what attempts before this one have sent."""
        for info in list_all(self.store, keys.training_checkpoints(self.job)):
            name = info.key.rpartition("/")[2]
            self.folder.mkdir(parents=True, exist_ok=True)
            self.store.download(info.key, str(self.folder / name))
            self.checkpoints.add(name)

    def step(self) -> None:
        """Send what is new. A bucket that is unavailable stops no training: that is reported, and retried."""
        due = time.monotonic() - self.last >= self.seconds
        try:
            self.send_metrics()
            if due:
                self.last = time.monotonic()
                self.send_checkpoints()
        except Unavailable as error:
            print(f"note: progress was not sent ({error}); the training goes on", file=sys.stderr, flush=True)

    def everything(self) -> None:
        """At the end, whatever it was. Raises Unavailable."""
        self.send_metrics()
        self.send_checkpoints()
        self.send_reports()

    def send_metrics(self) -> None:
        """Whole lines only: the training may be writing one just now."""
        file = self.out / "metrics.jsonl"
        rows = file.read_bytes() if file.exists() else b""
        rows = rows[: rows.rfind(b"\n") + 1]
        if rows and rows != self.rows:
            self.store.put(keys.training_metrics(self.job), rows, content_type="application/jsonl")
            self.rows = rows

    def send_checkpoints(self) -> None:
        """Those that are new, then remove from the bucket what the training has removed here. The last one stays."""
        there = {path.name: path for path in sorted(self.folder.glob(CHECKPOINTS))}
        for name, path in there.items():
            if name in self.checkpoints:
                continue
            try:
                body = path.read_bytes()
            except FileNotFoundError:
                continue  # a newer one took its place in this moment
            self.store.put(keys.training_checkpoint(self.job, name), body)
            self.checkpoints.add(name)
        if there.keys() & self.checkpoints:
            self._drop(self.checkpoints - there.keys())

    def send_reports(self) -> None:
        """What cleaning dropped, and the pictures, as far as the training came."""
        for name, kind in REPORTS.items():
            if (self.out / name).exists():
                body = (self.out / name).read_bytes()
                self.store.put(keys.training_report(self.job, name), body, content_type=kind)

    def clear(self) -> None:
        """Remove the checkpoints from the bucket: nothing is left to continue. What cannot be removed will expire."""
        try:
            self._drop(set(self.checkpoints))
        except (Unavailable, ObjectNotFound) as error:
            print(f"note: checkpoints stay in the bucket for a while: {error}", file=sys.stderr)

    def _drop(self, names: set[str]) -> None:
        for name in names:
            self.store.delete(keys.training_checkpoint(self.job, name))
            self.checkpoints.discard(name)
