"""SIGKILL for processes of the functions at random moments, while clients upload, move, predict and run jobs over HTTP.

Once all is quiet, nothing that was acknowledged is lost, nothing is there twice, and everything has an end.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest

from shared import keys
from tests.cloud.aftermath import Aftermath
from tests.cloud.conftest import Cloud
from tests.cloud.running import processes, resource
from tests.cloud.stream import Stream

pytestmark = pytest.mark.cloud
SEED = 20261128
PAUSE = 3.0  # seconds between two kills, on average
ALWAYS = ("AuthorizeFunction",)  # at work whenever there is a call


class Killer(threading.Thread):
    """Kills processes of functions that are at work; which, and when, is drawn from a seed. over: all are done."""

    def __init__(self, cloud: Cloud, stream: Stream, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._cloud, self._stream, self._kills = cloud, stream, kills
        self._chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.over = threading.Event()

    def run(self) -> None:
        while self.killed.total() < self._kills and not self.over.is_set():
            time.sleep(self._chance.uniform(0.2, 2 * PAUSE - 0.2))
            busy = sorted({name for name, count in self._stream.busy.items() if count > 0} | set(ALWAYS))
            function = self._chance.choice(busy)
            victims = sorted(processes(self._cloud, function))
            if victims:
                with suppress(ProcessLookupError):
                    os.kill(self._chance.choice(victims), signal.SIGKILL)
                    self.killed[function] += 1
        self.over.set()


def survive(cloud: Cloud, name: str, kills: int, seed: int) -> str:
    """The figures of a run. Raises AssertionError for what is lost, doubled, wrong or without an end."""
    begun = time.monotonic()
    stream = Stream(cloud, name, seed)
    stream.prepare()
    killer = Killer(cloud, stream, kills, seed)
    killer.start()
    try:
        stream.run(killer.over)
    finally:
        killer.over.set()
        killer.join()
    aftermath = Aftermath(cloud, stream)
    aftermath.settle()
    assert aftermath.problems() == []
    assert min(len(stream.jobs), len(stream.moves) - 2, len(stream.uploads) - 4, stream.calls) > 0, "an idle stream"
    return (
        f"{kills} kills (seed {seed}): {dict(killer.killed)}; {len(stream.uploads)} uploads, "
        f"{len(stream.moves)} moves, "
        f"{len(stream.jobs)} jobs, {stream.calls} predictions ({stream.unanswered} without an answer), "
        f"{stream.repetitions} repetitions; {aftermath.looks} looks, {aftermath.leases} leases brought to their end, "
        f"{aftermath.restarts} jobs restarted; {time.monotonic() - begun:.0f} s"
    )


def test_a_few_kills(cloud: Cloud) -> None:
    print(survive(cloud, "few-kills", 4, SEED))


@pytest.mark.soak
def test_twenty_kills(cloud: Cloud) -> None:
    print(survive(cloud, "kills", 20, SEED))


# ---- negative controls: what the checks above would say of a broken product


@pytest.fixture(scope="module")
def stream(cloud: Cloud) -> Stream:
    stream = Stream(cloud, "control", SEED)
    stream.prepare()
    assert Aftermath(cloud, stream).problems() == []
    return stream


def test_negative_control_without_looks_a_lost_event_is_an_upload_without_an_end(cloud: Cloud, stream: Stream) -> None:
    bucket = cloud.access["bucket"]
    notifications = cloud.s3.get_bucket_notification_configuration(Bucket=bucket)
    notifications.pop("ResponseMetadata", None)
    cloud.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        stream.upload(stream.models[0], 3000.0)
    finally:
        cloud.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notifications)
    aftermath = Aftermath(cloud, stream)
    aftermath.settle(looks=False, patience=5)
    problems = aftermath.problems()
    assert any("is waiting" in problem for problem in problems), problems
    assert any("a marker without an end" in problem for problem in problems), problems
    aftermath.settle()
    assert aftermath.problems() == []


def test_negative_control_a_repetition_without_its_key_is_a_move_too_many(cloud: Cloud, stream: Stream) -> None:
    model, reason = stream.models[0], "control twice"
    stream.move(model, 1, reason)
    path = f"/models/{model}/aliases/production"
    for version, why in ((2, "somebody else"), (1, reason)):
        assert cloud.api.put(path, json={"version": version, "reason": why}).status_code == 200
    problems = Aftermath(cloud, stream).problems()
    assert problems == [f"the move {reason!r} of {model} is there 2 times"]


def test_negative_control_a_record_that_is_gone_is_a_move_that_is_lost(cloud: Cloud, stream: Stream) -> None:
    model, reason = stream.models[1], "control lost"
    stream.move(model, 1, reason)
    scrubbed = cloud.aws("lambda").invoke(FunctionName=resource(cloud, "ScrubFunction"), Payload=b"{}")
    assert "FunctionError" not in scrubbed, "it keeps the newest revision of each log"
    revision = cloud.api.get(f"/models/{model}").json()["revision"]
    bucket, gone = cloud.access["bucket"], (keys.log_record(model, revision), keys.head(model))
    bodies = {key: cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in gone}
    for key in gone:
        cloud.s3.delete_object(Bucket=bucket, Key=key)
    try:
        problems = Aftermath(cloud, stream).problems()
    finally:  # other tests verify every model
        for key, body in bodies.items():
            cloud.s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert any(f"{reason!r} of {model} to version 1 is lost" in problem for problem in problems), problems
    assert any("does not verify" in problem for problem in problems), problems
