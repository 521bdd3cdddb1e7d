"""What the container of a training job runs: python -m training.job.run JOB, with the bucket's name in BUCKET.

It brings the data, puts back the checkpoints of an attempt before this one, and runs training.train as a process of its
own. Metrics and checkpoints go to the bucket as they come; the package goes where any client would send it, and is
checked like any other. Exit code: 0 done, 1 refused or failed, 75 stopped by SIGTERM or without the bucket: to be
started again, and it goes on.
"""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TypeVar

from amaas.api import package
from amaas.errors import AmaasError as PackageError
from msgspec.structs import replace

from shared import keys
from shared.errors import AmaasError, NotFound
from shared.jobs.training import job as jobs
from shared.jobs.training.job import Job
from shared.jobs.training.request import command_line, data_key, teacher_url
from shared.storage.base import ObjectInfo, ObjectNotFound, Store, Unavailable, list_all
from shared.uploads import forms, states
from training.errors import AGAIN, TrainingError
from training.job.mirror import Mirror

PAUSE = 1.0  # seconds between two looks at what the training wrote
PARALLEL = 16
ATTEMPTS = 5  # attempts to reach a bucket that is away, each twice as long after the one before
REASON = "training: "  # why the training, or this, ended
NOTE = "note: "  # what goes wrong while it goes on
T = TypeVar("T")
Report = Callable[[jobs.Phase], None]


class Stopped(Exception):
    """SIGTERM: the machine is wanted back."""


class Stop:
    """SIGTERM within `with`: noted in `requested`, and handed on to the process that is given."""

    def __init__(self) -> None:
        self.requested = False
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Stop:
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self.process is not None:
            self.process.terminate()

    def check(self) -> None:
        """Raises Stopped."""
        if self.requested:
            raise Stopped


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", help="its id")
    parser.add_argument("--bucket", default=os.environ.get("BUCKET"), help="BUCKET of the environment, if not given")
    parser.add_argument("--work", type=Path, default=Path("/tmp/amaas"), help="for data and output (%(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="between two uploads of checkpoints (%(default)s)")
    s = parser.parse_args(arguments)
    if not s.bucket:
        parser.error("no bucket is named: set BUCKET, or give --bucket")
    from shared.storage.s3 import S3Store

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    store = S3Store(s.bucket, endpoint or None)
    attempt = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    with Stop() as stop:
        return run(store, s.bucket, s.job, attempt, s.work, s.minutes * 60, stop)


def run(store: Store, bucket: str, identity: str, attempt: int, work: Path, seconds: float, stop: Stop) -> int:
    """One attempt of a job, from its request to its package. seconds: between two uploads of checkpoints."""

    def report(phase: jobs.Phase, reason: str | None = None) -> None:
        if reason:
            print(f"{REASON}{reason}", file=sys.stderr, flush=True)
        retry(lambda: jobs.write_report(store, identity, attempt, phase, reason))

    try:
        try:
            job = retry(lambda: jobs.read(store, identity))
            if jobs.read_cancellation(store, identity):
                return 0
            if not uploaded(store, job):
                report("running")
                train_and_publish(store, bucket, job, work, seconds, stop, report)
            report("published")
            return 0
        except Stopped:
            report("stopped")
            return AGAIN
    except Unavailable as error:  # of what was said last, too
        print(f"{REASON}{error}; the checkpoints that reached the bucket are kept there", file=sys.stderr)
        return AGAIN
    except (AmaasError, PackageError, TrainingError, OSError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        try:
            report("failed", f"{error}{': deploy with a larger TrainingDisk' if full else ''}")
        except Unavailable as away:
            print(f"{REASON}that could not be noted: {away}", file=sys.stderr)
        return 1


def train_and_publish(
    store: Store, bucket: str, job: Job, work: Path, seconds: float, stop: Stop, report: Report
) -> None:
    """From the data to a package that is sent. Raises Stopped, Unavailable, and errors that end the job.

    What SIGTERM finds finished is published all the same, within the notice of two minutes: the next attempt would only
    train its last epochs again. A user who cancels sends SIGTERM too, and wants no package.
    """
    shutil.rmtree(work, ignore_errors=True)
    data = fetch_data(store, bucket, job.data, work / "data", stop)
    job = fetch_teacher(store, bucket, job, work / "teacher", stop)
    mirror = Mirror(store, job.id, work / "out", seconds)
    mirror.restore()
    code, reason = train(command(job, data, work / "out"), mirror, stop)
    retry(mirror.everything)
    if code == AGAIN or (stop.requested and (code or retry(lambda: jobs.read_cancellation(store, job.id)))):
        raise Stopped
    if code:
        raise TrainingError(reason)
    report("publishing")
    retry(lambda: publish(store, job, work / "out"))
    mirror.clear()


def retry(act: Callable[[], T]) -> T:
    """Try for a quarter of a minute what fails because the bucket is away. Raises Unavailable in the end."""
    for attempt in range(ATTEMPTS):
        try:
            return act()
        except Unavailable as error:
            if attempt == ATTEMPTS - 1:
                raise
            print(f"{NOTE}{error}; it is tried again", file=sys.stderr, flush=True)
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


# ---- data


def fetch_data(store: Store, bucket: str, data: str, folder: Path, stop: Stop) -> str:
    """What to give as --data: a name as it is, else the file or folder that was fetched. Raises TrainingError."""
    location = data_key(data, bucket)
    if location is None:
        return data
    folder.mkdir(parents=True)
    objects = _files(store, location)
    if not objects:
        raise TrainingError(f"there is nothing at {data}: aws s3 cp --recursive FOLDER {data} puts data there")
    size, free = sum(info.size for info in objects.values()), shutil.disk_usage(folder).free
    if size > free:
        raise TrainingError(
            f"{data} has {size:,} bytes, more than the {free:,} that are free: deploy with a larger TrainingDisk"
        )

    def fetch(path: Path, info: ObjectInfo) -> None:
        stop.check()
        path.parent.mkdir(parents=True, exist_ok=True)
        store.download(info.key, str(path))

    target = folder / location.rpartition("/")[2]
    print(f"fetching {len(objects):,} files, {size:,} bytes", flush=True)
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(fetch, (target / name for name in objects), objects.values()))
    return str(target)


def fetch_teacher(store: Store, bucket: str, job: Job, folder: Path, stop: Stop) -> Job:
    """The same job, with the teacher's package fetched, and its folder in the arguments. Raises as fetch_data does."""
    location = teacher_url(job.arguments, bucket)
    if location is None:
        return job
    return replace(job, arguments=job.arguments | {"teacher": fetch_data(store, bucket, location, folder, stop)})


def _files(store: Store, location: str) -> dict[str, ObjectInfo]:
    """A single object under the name "", or a folder's by their relative paths. Raises BadInput for odd names."""
    try:
        return {"": store.head(location)}
    except ObjectNotFound:
        pass
    objects = (info for info in list_all(store, f"{location}/") if not info.key.endswith("/"))
    return {keys.dataset(info.key).removeprefix(f"{location}/"): info for info in objects}


# ---- the training


def command(job: Job, data: str, out: Path) -> list[str]:
    """TORCHRUN in the environment, as --nproc-per-node=gpu, has torchrun start as many processes."""
    spread = os.environ.get("TORCHRUN")
    start = ["-m", "torch.distributed.run", *shlex.split(spread)] if spread else []
    own = ["--data", data, "--out", str(out), "--name", job.model, "--quiet"]
    return [sys.executable, *start, "-m", "training.train", *own, *command_line(job.arguments)]


def train(line: list[str], mirror: Mirror, stop: Stop) -> tuple[int, str]:
    """Run it to its end, with its metrics and checkpoints going out. Returns its exit code, and its last words."""
    stop.check()
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, errors="replace")
    stop.process = process
    lines: list[str] = []
    listener = threading.Thread(target=_collect, args=(process, lines), daemon=True)
    listener.start()
    if stop.requested:  # between the check and here
        process.terminate()
    try:
        while process.poll() is None:
            mirror.step()
            try:
                process.wait(PAUSE)
            except subprocess.TimeoutExpired:
                pass
    finally:
        process.kill()
        stop.process = None
    listener.join(PAUSE * 10)
    return process.returncode, last_message(lines, process.returncode)


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    """Its standard error goes to ours, which is the log; the end of it is kept."""
    assert process.stderr is not None
    for line in process.stderr:
        sys.stderr.write(line)
        sys.stderr.flush()
        lines.append(line.strip())
        del lines[:-100]


def last_message(lines: list[str], code: int) -> str:
    """The training's own reason, where it gave one. One that was killed had no time to."""
    if code == -signal.SIGKILL:
        return "the training was killed, most often because memory ran out: give a smaller --batch"
    own = [line.removeprefix(REASON) for line in lines if line.startswith(REASON)]
    if own:
        return own[-1]
    texts = [line for line in lines if line]
    return f"the training ended with exit code {code}: {texts[-1][:500] if texts else 'it lines nothing'}"


# ---- the package


def uploaded(store: Store, job: Job) -> bool:
    """Whether an attempt before this one has sent the whole package."""
    try:
        return not states.missing_files(store, states.read_session(store, jobs.upload_id(job.id)))
    except NotFound:
        return False


def publish(store: Store, job: Job, out: Path) -> None:
    """As `amaas push`: an upload session, then its files. The upload's id is made of the job's: there is only one.

    Files of an interrupted attempt are replaced: a package is never put together from two trainings.
    """
    files = package.files(out)
    announced = [forms.File(name) for name in files]
    session = states.open_session(store, job.model, announced, job.by, jobs.upload_id(job.id))
    if set(session.keys) != set(files):
        raise TrainingError(f"an earlier attempt announced {sorted(session.keys)}, not {sorted(files)}: train again")
    for name, key in session.keys.items():
        store.put(key, files[name].read_bytes())


if __name__ == "__main__":
    sys.exit(main())
