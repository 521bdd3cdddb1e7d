"""A conditional write whose reply is lost: applied once, and never taken for a lost race."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from shared.storage.base import AlreadyExists, PreconditionFailed, Unavailable
from shared.storage.s3 import S3Store


@pytest.fixture
def store(moto_endpoint: str) -> S3Store:
    made = S3Store(f"b-{uuid.uuid4().hex[:12]}", moto_endpoint)
    made._client.create_bucket(Bucket=made.bucket)
    return made


class Losing:
    """A client that carries out the write and then loses the reply, `times` times."""

    def __init__(self, client: Any, times: int, *, before: bool = False) -> None:
        self.client, self.times, self.before, self.sent = client, times, before, 0

    def put_object(self, **args: Any) -> Any:
        self.sent += 1
        if self.times and self.before:
            self.times -= 1
            raise EndpointConnectionError(endpoint_url="lost")
        reply = self.client.put_object(**args)
        if self.times:
            self.times -= 1
            raise ReadTimeoutError(endpoint_url="lost")
        return reply


def test_reply_lost_after_create(store: S3Store) -> None:
    store._once = Losing(store._once, 1)
    assert store.put("k", b"mine", if_absent=True) == store.head("k").etag
    assert store._once.sent == 1


def test_reply_lost_after_swap(store: S3Store) -> None:
    etag = store.put("k", b"old")
    store._once = Losing(store._once, 1)
    assert store.put("k", b"new", if_match=etag) == store.head("k").etag
    assert store.get("k").body == b"new"


def test_request_lost_is_sent_again(store: S3Store) -> None:
    store._once = Losing(store._once, 2, before=True)
    store.put("k", b"mine", if_absent=True)
    assert store.get("k").body == b"mine"
    assert store._once.sent == 3


def test_real_loss_stays_a_loss(store: S3Store) -> None:
    store.put("k", b"theirs")
    store._once = Losing(store._once, 1, before=True)
    with pytest.raises(AlreadyExists):
        store.put("k", b"mine", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put("k", b"mine", if_match='"stale"')


def test_a_store_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.storage.s3.time.sleep", lambda _: None)
    store = S3Store("b", "http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        store.put("k", b"x", if_absent=True)
    with pytest.raises(Unavailable):
        store.get("k")
