"""Batch jobs: send the inputs, follow the job, read its outputs. A job goes on without its client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from amaas.api import network, transfer, transport
from amaas.api.connection import Connection, Json
from amaas.errors import AmaasError

FILES_PER_CALL = 500  # the service's limit
WAIT = 20  # seconds that the service waits for a change before it answers
UNFINISHED = ("waiting", "planning", "running")


class BatchJobs(Connection):
    def create_batch_job(
        self,
        model: str,
        source: str | Path,
        version: int | str | None = None,
        *,
        options: dict[str, str] | None = None,
        chunk: int | None = None,
        on_progress: transfer.Progress | None = None,
        on_created: Callable[[Json], None] | None = None,
    ) -> Json:
        """Start a job over a file of inputs (JSONL, CSV, Parquet), or over the files of a folder, one input each.

        version: a number or an alias, resolved now; by default production. options: of the task, as {"top_k": "3"}.
        chunk: inputs per invocation. on_progress(bytes sent, bytes in all). on_created(job), before its inputs are
        sent. Returns the job's state, with its `id`.
        """
        files = _files(Path(source))
        names = list(files)
        body: Json = {"files": _announcement(files, names[:FILES_PER_CALL]), "options": options or {}}
        body |= {name: value for name, value in (("version", version), ("chunk", chunk)) if value is not None}
        job = self._call_once("createBatchJob", {"model": model}, json=body)
        if on_created:
            on_created(job)
        destinations = list(job["files"])
        for start in range(FILES_PER_CALL, len(names), FILES_PER_CALL):
            more = {"files": _announcement(files, names[start : start + FILES_PER_CALL])}
            destinations += self._call("addBatchJobFiles", {"job": job["id"]}, json=more)["files"]
        transfer.send(destinations, files, on_progress)
        return self.start_batch_job(job["id"], files=len(files))

    def list_batch_jobs(self, model: str | None = None) -> list[Json]:
        """The jobs that this token created, newest first; of an administrator's token all. model: only its jobs."""
        query = {"limit": "100"} if model is None else {"limit": "100", "model": model}
        return list(self._pages("listBatchJobs", "jobs", query=query))

    def start_batch_job(self, job: str, *, files: int | None = None) -> Json:
        """Start a job, or resume one: what is left of it. files: how many must have arrived."""
        return self._call_once("startBatchJob", {"job": job}, json={} if files is None else {"files": files})

    def get_batch_job(self, job: str, wait: int = 0) -> Json:
        """A job's state and counts. wait: seconds that the service waits for its end, at most 20."""
        return self._call("getBatchJob", {"job": job}, params={"wait": str(wait)} if wait else {})

    def wait_for_batch_job(
        self, job: str, on_state: Callable[[Json], None] | None = None, timeout: float = 86400
    ) -> Json:
        """Wait for a job's end, and return its state. on_state gets each state. timeout: in seconds.

        Raises AmaasError at the timeout.
        """
        deadline = time.monotonic() + timeout
        patience = self._http.timeout.read or WAIT  # of a call: the service must not wait for longer
        while True:
            state = self.get_batch_job(job, int(min(WAIT if on_state is None else 2, patience / 2)))
            if on_state:
                on_state(state)
            if state["state"] not in UNFINISHED:
                return state
            if time.monotonic() > deadline:
                raise AmaasError(
                    f"batch job {job} is still {state['state']} after {timeout:g} s; the service goes on with it: "
                    f"`amaas batch show {job}` says how far it is"
                )

    def cancel_batch_job(self, job: str) -> Json:
        """Stop a job. Finished chunks are kept; starting it again does the rest."""
        return self._call_once("cancelBatchJob", {"job": job})

    def delete_batch_job_data(self, job: str) -> Json:
        """Delete a job that does not run at once: its inputs, answers and records. Returns the receipt."""
        return self._call_once("deleteBatchJobData", {"job": job})

    def list_batch_job_failures(self, job: str) -> list[Json]:
        """The inputs that failed, in the inputs' order: `input` and `error`."""
        return list(self._pages("listBatchJobFailures", "failures", {"job": job}))

    def read_batch_job_outputs(self, job: str) -> Iterator[Json]:
        """One row per input, in the inputs' order: `index`, `input`, and `prediction` or `error`."""
        with network.client(timeout=300) as http:  # storage must not see the token
            for output in self._pages("listBatchJobOutputs", "outputs", {"job": job}):
                for line in transport.download(http, output["url"], "the outputs").splitlines():
                    yield json.loads(line)


def _files(source: Path) -> dict[str, Path]:
    """Files by the names they are sent under, without hidden ones. Raises AmaasError if there are none."""
    if source.is_file():
        files = {source.name: source}
    else:
        names = {path.relative_to(source): path for path in sorted(source.rglob("*")) if path.is_file()}
        files = {name.as_posix(): path for name, path in names.items() if not _is_hidden(name)}
    if not files:
        raise AmaasError(f"{source} contains no files: a batch job needs at least one input")
    return files


def _is_hidden(name: Path) -> bool:
    """Of systems and tools, such as .DS_Store and all of .git: no inputs."""
    return any(part.startswith(".") for part in name.parts)


def _announcement(files: dict[str, Path], names: list[str]) -> list[Json]:
    return [{"name": name, "size": files[name].stat().st_size} for name in names]
