"""Batch jobs and training jobs."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from amaas.cli.display.tables import JOB_COLORS, row, state, table
from amaas.cli.display.text import when


def training_jobs(out: Console, jobs: list[dict[str, Any]]) -> None:
    if not jobs:
        out.print("no training jobs yet: `amaas train --data DATA --model MODEL` starts one")
        return
    rows = table("job", "model", "data", "created", "state", "version", "reason", right=("version",))
    for job in jobs:
        colored, created = state(job["state"], JOB_COLORS), when(job["created_at"])
        row(rows, job["id"], job["model"], job["data"], created, colored, job.get("version"), job.get("reason"))
    out.print(rows)


def batch_jobs(out: Console, jobs: list[dict[str, Any]]) -> None:
    if not jobs:
        out.print("no batch jobs: `amaas batch MODEL SOURCE` starts one")
        return
    rows = table("job", "model", "version", "created", "state", "done", "failed", right=("version", "done", "failed"))
    for job in jobs:
        colored, created = state(job["state"], JOB_COLORS), when(job["created_at"])
        done = f"{job['done']} of {job['inputs'] or '?'}"
        row(rows, job["id"], job["model"], job["version"], created, colored, done, job["failed"])
    out.print(rows)


def failures(out: Console, failures: list[dict[str, Any]]) -> None:
    if not failures:
        out.print("no input failed")
        return
    rows = table("input", "error")
    for failure in failures:
        row(rows, failure.get("input"), failure.get("error"))
    out.print(rows)
