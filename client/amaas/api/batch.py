"""Batch jobs: send the inputs, follow the job, fetch its answers. A job goes on without whoever started it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from amaas.api import transport, uploads
from amaas.errors import AmaasError

Json = dict[str, Any]
AT_ONCE = 500  # files per ticket, as the service has it
PAUSE = 20  # seconds that the service waits for a change before it answers
GOING = ("waiting", "planning", "running")


class Batches:
    """The part of the client that is about batch jobs."""

    _call: Callable[..., Json]

    def batch(
        self,
        model: str,
        source: str | Path,
        version: int | str | None = None,
        *,
        options: dict[str, str] | None = None,
        chunk: int | None = None,
        on_progress: uploads.Progress | None = None,
    ) -> Json:
        """Start a job over a file of inputs (JSONL, CSV, Parquet), or over a file or the files of a folder.

        version: a number or an alias; else production. The job keeps to the version that it resolves to now. chunk:
        inputs per worker call. on_progress(bytes sent, bytes in all). Returns the job's state, with its `id`.
        """
        files = _files(Path(source))
        names = list(files)
        body: Json = {"files": _announced(files, names[:AT_ONCE]), "options": options or {}}
        body |= {name: value for name, value in (("version", version), ("chunk", chunk)) if value is not None}
        ticket = self._call("POST", f"/models/{quote(model, safe='')}/batch", json=body)
        place, targets = f"/batch/{ticket['id']}", list(ticket["files"])
        for start in range(AT_ONCE, len(names), AT_ONCE):
            more = {"files": _announced(files, names[start : start + AT_ONCE])}
            targets += self._call("POST", f"{place}/files", json=more)["files"]
        uploads.send(targets, files, on_progress)
        return self.batch_start(ticket["id"], files=len(files))

    def batch_start(self, job: str, *, files: int | None = None) -> Json:
        """Start a job, or start it again to do what is left. files: how many must have arrived."""
        return self._call("POST", f"{_job(job)}/start", json={} if files is None else {"files": files})

    def batch_state(self, job: str, wait: int = 0) -> Json:
        """How far a job is; after at most `wait` seconds while it goes on."""
        return self._call("GET", _job(job), params={"wait": str(wait)} if wait else {})

    def batch_wait(self, job: str, on_state: Callable[[Json], None] | None = None, timeout: float = 86400) -> Json:
        """Wait for a job's end; on_state is told how far it is. Raises AmaasError when the time is over."""
        deadline = time.monotonic() + timeout
        while True:
            state = self.batch_state(job, PAUSE if on_state is None else 2)
            if on_state:
                on_state(state)
            if state["state"] not in GOING:
                return state
            if time.monotonic() > deadline:
                raise AmaasError(f"batch job {job} is still {state['state']} after {timeout:g} s; it goes on by itself")

    def batch_cancel(self, job: str) -> Json:
        """Stop a job. What is done stays; starting it again does the rest."""
        return self._call("DELETE", _job(job))

    def batch_answers(self, job: str) -> Iterator[Json]:
        """One answer per input, in the inputs' order: `index`, `input`, and `prediction` or `error`."""
        query: dict[str, str] = {}
        with httpx.Client(timeout=300, verify=transport.certificates()) as http:
            while True:
                page = self._call("GET", f"{_job(job)}/outputs", params=query)
                for output in page["outputs"]:
                    yield from _lines(http, output["url"])
                if page["next"] is None:
                    return
                query = {"next": str(page["next"])}


def _job(job: str) -> str:
    return f"/batch/{quote(job, safe='')}"


def _files(source: Path) -> dict[str, Path]:
    """Files by the names that they get. Raises AmaasError when there are none."""
    if source.is_file():
        return {source.name: source}
    found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
    if not found:
        raise AmaasError(f"{source} holds no files: a batch job needs at least one input")
    return found


def _announced(files: dict[str, Path], names: list[str]) -> list[Json]:
    return [{"name": name, "size": files[name].stat().st_size} for name in names]


def _lines(http: httpx.Client, url: str) -> Iterator[Json]:
    for line in transport.stored(http, url, "the answers", "were").splitlines():
        yield json.loads(line)
