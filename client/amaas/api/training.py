"""Training jobs: start one, follow it, cancel it. A job goes on without whoever started it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from amaas.api import transport
from amaas.errors import AmaasError, ApiError, NotConnected

Json = dict[str, Any]
OVER = ("succeeded", "failed", "cancelled")
PAUSE = 5.0  # seconds between two looks
AWAY = (5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0)  # seconds between two of a service that is away: five minutes
# options of training.train that are set here or by the job; what to do instead
SET = {
    "data": "give --data before the --",
    "out": "give --out before the --",
    "name": "--model, before the --, names it",
    "checkpoint": "checkpoints are in the output folder",
    "quiet": "omit it",
    "help": "`python -m training.train --help` lists the options",
}


class Trainings:
    """The part of the client that is about training jobs."""

    _call: Callable[..., Json]
    _pages: Callable[..., Any]

    def train(self, model: str, data: str, arguments: Json | None = None) -> Json:
        """Start a job whose result is pushed as `model`. Returns its state, with its `id`.

        data: a name that the container knows, or s3://BUCKET/datasets/…. arguments: options of training.train, without
        their dashes: {"epochs": 20, "size": [64, 64], "no-flip": True}.
        """
        return self._call("POST", "/training-jobs", json={"model": model, "data": data, "arguments": arguments or {}})

    def training(self, job: str, after: int = 0) -> Json:
        """How far a job is; `metrics` has the rows behind the first `after`."""
        return self._call("GET", _job(job), params={"after": str(after)} if after else {})

    def trainings(self) -> list[Json]:
        """All jobs that the token may see, newest first."""
        return list(self._pages("/training-jobs", "jobs", {"limit": "100"}))

    def training_cancel(self, job: str) -> Json:
        """Stop a job. Its last checkpoint stays."""
        return self._call("DELETE", _job(job))

    def training_reports(self, job: str, folder: Path) -> list[Path]:
        """Fetch what a job that is over left beside its package: what cleaning dropped, and pictures of the training.

        Returns the files. Raises AmaasError where it left none.
        """
        found = self.training(job).get("reports") or {}
        if not found:
            raise AmaasError(f"training job {job} has left no reports: it writes them when it ends")
        folder.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=60, verify=transport.certificates()) as http:  # storage is not shown the token
            for name, url in found.items():
                (folder / Path(name).name).write_bytes(transport.stored(http, url, name))
        return [folder / Path(name).name for name in found]

    def training_wait(
        self, job: str, on_state: Callable[[Json], None] | None = None, timeout: float = 30 * 86400
    ) -> Json:
        """Wait for a job's end; on_state is told how far it is, with the new rows. Returns it with all rows.

        A service that is away is waited for. Raises NotConnected, which says how to go on, after five minutes of that,
        or at the end of `timeout`.
        """
        deadline, rows = time.monotonic() + timeout, []
        while True:
            state = self._insist(job, len(rows), deadline)
            rows += state["metrics"]
            if on_state:
                on_state(state)
            if state["state"] in OVER:
                return state | {"metrics": rows}
            if time.monotonic() > deadline:
                still = f"training job {job} is still {state['state']} after {timeout:g} s"
                raise AmaasError(f"{still}; it goes on by itself")
            time.sleep(PAUSE)

    def _insist(self, job: str, after: int, deadline: float) -> Json:
        """training(), of a service that may be away for a while: the job takes hours, and needs no connection."""
        for pause in (*AWAY, None):
            try:
                return self.training(job, after)
            except (NotConnected, ApiError) as error:
                if isinstance(error, ApiError) and error.status not in {429, *transport.PASSING}:
                    raise
                if pause is None or time.monotonic() + pause > deadline:
                    hint = f"the job goes on by itself: `amaas train --follow {job}` follows it"
                    raise NotConnected(f"{error}; {hint}") from error
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _job(job: str) -> str:
    return f"/training-jobs/{quote(job, safe='')}"


def arguments(words: list[str] | tuple[str, ...]) -> Json:
    """Options as one writes them, --epochs 20 --size 64 64 --no-flip, as the service takes them.

    Raises AmaasError for what is no option, and for those that are not the caller's to set: of two, the last would
    hold, and what is pushed would not be what was trained.
    """
    found: Json = {}
    name = None
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, given, value = word[2:].partition("=")
            if name in SET:
                raise AmaasError(f"--{name} is set by `amaas train` itself: {SET[name]}")
            if name in found:
                raise AmaasError(f"--{name} is given twice")
            found[name] = value if given else True
        elif name is None:
            raise AmaasError(f"{word!r} belongs to no option: they read --name, --name value or --name=value")
        else:
            known = found[name]
            found[name] = word if known is True else [*known, word] if isinstance(known, list) else [known, word]
    return found
