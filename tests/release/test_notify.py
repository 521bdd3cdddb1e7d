"""Who is told of the watcher's moves, and what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from shared import deadline, keys
from shared.errors import Unavailable
from shared.registry import aliases, verdicts
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Target
from shared.release import notify, watch
from shared.release.counted import Group, Minute
from shared.release.notify import Message, message_of, tell
from shared.release.topic import Topic
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Version 2 was worse, and is rolled back by record 5."""
    key = LocalKey.create(tmp_path / "key.pem")
    log = Log(MemoryStore(), signer=key, trusted=[key.public])
    push(log, "m", 2)
    aliases.set_policy(log, "m", "production", None, ANN, ReleasePolicy(promote=True))
    aliases.move(log, "m", "production", Target.of({1: 90, 2: 10}), ANN)
    bad = Minute(0, Group(20, {"server_errors": (20, 12)}), Group(180, {"server_errors": (180, 2)}))
    (looked,) = watch.look(log, lambda canary: [bad], 2**31 // 60)
    assert looked.obstacle is None
    return log


def test_what_is_told_of_a_rollback(log: Log) -> None:
    message = message_of(log, "m", 5)
    assert message.subject == "m: production rolled back"
    assert message.text.splitlines()[0] == (
        "m: version 2 is worse than version 1: server errors in 12 of 20 calls, beside 2 of 180."
    )
    assert "production is now version 1." in message.text and "amaas history m" in message.text
    sent = msgspec.json.decode(msgspec.json.encode(message))
    assert (sent["format"], sent["id"], sent["kind"], sent["aliases"]) == (1, "m/5", "rollback", {"production": 1})
    assert sent["evidence"]["metrics"]["server_errors"]["canary_bad"] == 12


def test_what_is_told_of_a_step(log: Log) -> None:
    aliases.move(log, "m", "production", Target.of({1: 90, 2: 10}), ANN)
    canary = watch.find(log, log.read("m"), "production")
    evidence = msgspec.structs.replace(
        log.records("m", 5, 5)[0].evidence, since=canary.stage.since, verdict="no-loss", policy=canary.policy
    )
    assert verdicts.go_on(log, "m", "production", 25, evidence, "no loss above 1 %").obstacle is None
    message = message_of(log, "m", 7)
    assert message.subject == "m: production goes on"
    assert "production is now 75 to version 1, 25 to version 2." in message.text


def test_moves_of_persons_are_not_told(log: Log) -> None:
    assert [message_of(log, "m", revision) for revision in (1, 3, 4)] == [None] * 3


def test_a_record_that_is_never_there_is_asked_for_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(notify.time, "sleep", slept.append)
    with pytest.raises(Unavailable, match="not there yet"):
        message_of(log, "m", 6)
    assert 1 <= sum(slept) <= 2, "Lambda delivers again: a longer wait is paid for nothing"
    with deadline.within(0.5), pytest.raises(Unavailable, match="not there yet"):
        message_of(log, "m", 6)
    assert len(slept) == 7, "a pause that the call has no time for is not begun"


def test_a_record_that_comes_a_moment_after_its_event_is_told(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.log_record("m", 5)
    body = log.store.get(key).body
    log.store.delete(key)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            log.store.put(key, body)

    monkeypatch.setattr(notify.time, "sleep", sleep)
    message = message_of(log, "m", 5)
    assert message is not None and message.id == "m/5" and len(pauses) == 2


def test_a_forged_record_tells_nothing(log: Log) -> None:
    body = log.store.get(keys.log_record("m", 5)).body
    log.store.put(keys.log_record("m", 5), body.replace(b'"canary_bad":12', b'"canary_bad":13'))
    with pytest.raises(Unavailable, match="not to be trusted"):
        message_of(log, "m", 5)


def test_one_way_that_fails_does_not_stop_the_other(log: Log) -> None:
    told: list[Message] = []

    def fails(message: Message) -> None:
        raise Unavailable("the webhook hangs")

    with pytest.raises(Unavailable, match="hangs"):
        tell(message_of(log, "m", 5), [fails, told.append])
    assert [message.id for message in told] == ["m/5"]


class Published:
    """SNS's client, as far as it is used."""

    def __init__(self, error: Exception | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.error = error

    def publish(self, **message: Any) -> None:
        if self.error:
            raise self.error
        self.messages.append(message)


def test_a_topic_takes_a_line_of_ascii_and_a_text() -> None:
    client = Published()
    Topic("arn:t", client=client).send("Größe\n" + "x" * 200, "text")
    (message,) = client.messages
    assert message["Subject"].startswith("Gr??e xxx") and len(message["Subject"]) < 100
    assert (message["TopicArn"], message["Message"]) == ("arn:t", "text")


def test_a_topic_that_does_not_answer() -> None:
    client = Published(ClientError({"Error": {"Code": "Throttled"}}, "Publish"))
    with pytest.raises(Unavailable, match="topic of notifications"):
        Topic("arn:t", client=client).send("subject", "text")
