"""A conditional write whose reply is lost: applied once, and never taken for a lost race."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from shared.storage.attempts import Attempts
from shared.storage.base import AlreadyExists, PreconditionFailed, Unavailable
from shared.storage.s3 import S3Store
from tests.servers import SERVERS


@pytest.fixture(params=SERVERS)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], S3Store]) -> S3Store:
    return new_store(request.param)


class Standing:
    """In the place of the SDK's client, which does all that a subclass does not."""

    client: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


def through(store: S3Store, client: type[Standing], *args: Any, **options: Any) -> S3Store:
    """The same bucket by another client, without pauses."""
    standing = client(store.client, *args, **options)
    return S3Store(store.bucket, client=standing, attempts=Attempts(sleep=lambda seconds: None))


class Losing(Standing):
    """Carries out the write and then loses the reply, `times` times."""

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
    lossy = through(store, Losing, 1)
    assert lossy.put("k", b"mine", if_absent=True) == store.head("k").etag
    assert lossy.client.sent == 1


def test_reply_lost_after_swap(store: S3Store) -> None:
    etag = store.put("k", b"old")
    assert through(store, Losing, 1).put("k", b"new", if_match=etag) == store.head("k").etag
    assert store.get("k").body == b"new"


def test_request_lost_is_sent_again(store: S3Store) -> None:
    lossy = through(store, Losing, 2, before=True)
    lossy.put("k", b"mine", if_absent=True)
    assert store.get("k").body == b"mine"
    assert lossy.client.sent == 3


def test_real_loss_stays_a_loss(store: S3Store) -> None:
    store.put("k", b"theirs")
    lossy = through(store, Losing, 1, before=True)
    with pytest.raises(AlreadyExists):
        lossy.put("k", b"mine", if_absent=True)
    with pytest.raises(PreconditionFailed):
        lossy.put("k", b"mine", if_match='"stale"')


def test_a_store_that_never_answers() -> None:
    store = S3Store("b", "http://127.0.0.1:9", attempts=Attempts(sleep=lambda seconds: None))
    with pytest.raises(Unavailable):
        store.put("k", b"x", if_absent=True)
    with pytest.raises(Unavailable):
        store.get("k")


class Refusing(Standing):
    """Its writes are answered with an error of S3's, carried out or not, `times` times."""

    def __init__(self, client: Any, code: str, status: int, *, effective: bool, times: int = 1) -> None:
        self.client, self.code, self.status, self.effective, self.times = client, code, status, effective, times

    def put_object(self, **args: Any) -> Any:
        if not self.times:
            return self.client.put_object(**args)
        self.times -= 1
        if self.effective:
            self.client.put_object(**args)
        reply = {"Error": {"Code": self.code}, "ResponseMetadata": {"HTTPStatusCode": self.status}}
        raise ClientError(reply, "PutObject")


@pytest.mark.parametrize("effective", [True, False])
@pytest.mark.parametrize(
    ("code", "status"), [("ConditionalRequestConflict", 409), ("InternalError", 500), ("SlowDown", 503)]
)
def test_errors_before_and_after_the_effect(store: S3Store, code: str, status: int, effective: bool) -> None:
    etag = through(store, Refusing, code, status, effective=effective).put("k", b"mine", if_absent=True)
    assert store.get("k").body == b"mine"
    through(store, Refusing, code, status, effective=effective, times=2).put("k", b"next", if_match=etag)
    assert store.get("k").body == b"next"
    with pytest.raises(AlreadyExists):
        through(store, Refusing, code, status, effective=effective).put("k", b"other", if_absent=True)


def test_a_refused_signature_is_no_race(store: S3Store) -> None:
    with pytest.raises(Unavailable, match="refused to write"):
        through(store, Refusing, "AccessDenied", 403, effective=False).put("k", b"x", if_absent=True)


def test_negative_control_a_412_taken_for_a_lost_race_makes_duplicates(moto_endpoint: str) -> None:
    """What the SDK's retries do to whoever believes their 412: a counter by compare-and-swap counts too far."""
    client = boto3.client("s3", endpoint_url=moto_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="naive")
    client.put_object(Bucket="naive", Key="counter", Body=b"0")
    lost: list[bytes] = []

    def lose(request: Any, **_: Any) -> Any:
        if b"attempt=1" not in request.headers["amz-sdk-request"] or len(lost) == 5:
            return None
        URLLib3Session().send(request)  # carried out, and the reply is lost
        lost.append(request.body)
        raise ReadTimeoutError(endpoint_url="lost")

    client.meta.events.register("before-send.s3.PutObject", lose)
    for _ in range(10):
        while True:
            present = client.get_object(Bucket="naive", Key="counter")
            number = int(present["Body"].read())
            try:
                client.put_object(Bucket="naive", Key="counter", Body=b"%d" % (number + 1), IfMatch=present["ETag"])
                break
            except client.exceptions.ClientError:
                continue  # it believes that another writer was faster
    assert len(lost) == 5
    total = int(client.get_object(Bucket="naive", Key="counter")["Body"].read())
    assert total > 10, "ten calls, and more than ten effects"
