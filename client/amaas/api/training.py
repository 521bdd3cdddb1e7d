"""Training jobs: start one, follow it, cancel it. A job goes on without its client."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from amaas.api import network, transport
from amaas.api.connection import Connection, Json
from amaas.errors import AmaasError, ApiError, NotConnected

FINAL = ("succeeded", "failed", "cancelled")
# What a job writes when it ends. No other names are taken from a server: they are of files on this machine.
REPORTS = ("cleaning.json", "curves.png", "confusion.png", "calibration.png")
POLL = 5.0  # seconds between two requests
OUTAGE = (5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0)  # pauses in seconds while the service is away: five minutes


class TrainingJobs(Connection):
    def create_training_job(self, model: str, data: str, arguments: Json | None = None) -> Json:
        """Start a job whose result is pushed as `model`. Returns its state, with its `id`.

        data: the name of a data set in the container, or s3://BUCKET/datasets/…. arguments: options of
        training.train, without their dashes: {"epochs": 20, "size": [64, 64], "no-flip": True}.
        """
        return self._call_once("createTrainingJob", json={"model": model, "data": data, "arguments": arguments or {}})

    def get_training_job(self, job: str, after: int = 0) -> Json:
        """A job's state; `metrics` has the rows that follow the first `after`."""
        return self._call("getTrainingJob", {"job_id": job}, params={"after": str(after)} if after else {})

    def list_training_jobs(self) -> list[Json]:
        """All jobs that the token may read, newest first."""
        return list(self._pages("listTrainingJobs", "jobs", query={"limit": "100"}))

    def cancel_training_job(self, job: str) -> Json:
        """Stop a job. Its last checkpoint is kept."""
        return self._call_once("cancelTrainingJob", {"job_id": job})

    def delete_training_job_data(self, job: str) -> Json:
        """Delete the checkpoints, metrics and reports of a job that has ended, at once. Returns the receipt."""
        return self._call_once("deleteTrainingJobData", {"job_id": job})

    def download_training_reports(self, job: str, folder: Path) -> list[Path]:
        """Download the reports of a job that has ended: what data cleaning dropped, and plots of the training.

        Returns the files, which replace those of an earlier download. Raises AmaasError if there are none.
        """
        reports = self.get_training_job(job).get("reports") or {}
        if not reports:
            raise AmaasError(f"training job {job} has no reports: it writes them when it ends")
        reports = {name: url for name, url in reports.items() if name in REPORTS}
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / name for name in reports]
        with network.client(timeout=60) as http:  # storage must not see the token
            for file, (name, url) in zip(files, reports.items(), strict=True):
                file.write_bytes(transport.download(http, url, name))
        return files

    def wait_for_training_job(
        self, job: str, on_state: Callable[[Json], None] | None = None, timeout: float = 30 * 86400
    ) -> Json:
        """Wait for a job's end, and return its state with all rows of metrics. timeout: in seconds.

        on_state gets each state, with the new rows. A service that does not answer is retried. Raises NotConnected,
        which says how to go on, after five minutes of that or at the timeout; AmaasError at the timeout.
        """
        deadline = time.monotonic() + timeout
        rows: list[Json] = []
        while True:
            state = self._get_patiently(job, len(rows), deadline)
            rows += state["metrics"]
            if on_state:
                on_state(state)
            if state["state"] in FINAL:
                return state | {"metrics": rows}
            if time.monotonic() > deadline:
                raise AmaasError(
                    f"training job {job} is still {state['state']} after {timeout:g} s; it goes on without the client: "
                    f"`amaas train follow {job}` follows it"
                )
            time.sleep(POLL)

    def _get_patiently(self, job: str, after: int, deadline: float) -> Json:
        """get_training_job, through an outage of the service: the job takes hours, and needs no connection."""
        for pause in (*OUTAGE, None):
            try:
                return self.get_training_job(job, after)
            except (NotConnected, ApiError) as error:
                if isinstance(error, ApiError) and error.status not in {429, *transport.TEMPORARY}:
                    raise
                if pause is None or time.monotonic() + pause > deadline:
                    hint = f"the job goes on without the client: `amaas train follow {job}` follows it"
                    raise NotConnected(f"{error}; {hint}") from error
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")
