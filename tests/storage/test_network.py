"""Both clients of the store over a bad network, in front of a real S3 server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from botocore.awsrequest import AWSHTTPConnection

from shared import aws, deadline, errors
from shared.signing.kms import KmsKey
from shared.storage import attempts, light
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, Unavailable, list_all
from shared.storage.light import LightStore
from shared.storage.s3 import S3Store
from tests.proxy import Proxy, between

BODY = os.urandom(200_000)


@pytest.fixture
def proxy(seaweedfs_endpoint: str) -> Iterator[Proxy]:
    with between(seaweedfs_endpoint) as proxy:
        yield proxy


@pytest.fixture(params=["light", "s3"])
def store(request: pytest.FixtureRequest, proxy: Proxy, new_store: Callable[[str], S3Store]) -> Iterator[Store]:
    whole = new_store("seaweedfs")
    whole.put("k", BODY)
    yield (S3Store if request.param == "s3" else light.store)(whole.bucket, proxy.url)
    for info in list_all(whole, ""):
        whole.delete(info.key)
    whole.client.delete_bucket(Bucket=whole.bucket)  # the server has room for so many, each with volumes of its own


PASSING = ["refuse", "slow_down", "internal_error", "truncate"]


@pytest.mark.parametrize("mode", PASSING)
def test_a_burst_is_not_seen_by_reads(store: Store, proxy: Proxy, mode: str, tmp_path: Path) -> None:
    proxy.trouble(mode, times=4)
    assert store.get("k").body == BODY
    assert proxy.hits == 4
    proxy.trouble(mode, times=3)
    assert store.download("k", str(tmp_path / "file")) == hashlib.sha256(BODY).hexdigest()
    assert (tmp_path / "file").read_bytes() == BODY
    proxy.trouble(mode, times=3)
    assert [info.key for info in store.list_page("").objects] == ["k"]
    proxy.trouble(mode, times=3)
    with pytest.raises(ObjectNotFound):
        store.get("nothing")


@pytest.mark.parametrize("mode", PASSING)
def test_a_burst_is_not_seen_by_writes(store: Store, proxy: Proxy, mode: str) -> None:
    proxy.cut = 40  # in the first header: the reply of a write is short
    proxy.trouble(mode, times=3)
    etag = store.put("new", b"one", if_absent=True)
    proxy.trouble(mode, times=3)
    store.put("new", b"two", if_match=etag)
    proxy.trouble("pass")
    assert store.get("new").body == b"two"
    proxy.trouble(mode, times=3)
    with pytest.raises(PreconditionFailed):
        store.put("new", b"three", if_match=etag)
    proxy.trouble(mode, times=3)
    with pytest.raises(AlreadyExists):
        store.put("new", b"four", if_absent=True)


@pytest.mark.parametrize("cut", [0, 9, 15, 17, 40, 60, 90, 120, 150, 180, 210, 240, 270, 300, 350])
def test_a_reply_that_breaks_off_in_its_headers_is_no_short_reply(
    store: Store, proxy: Proxy, cut: int, tmp_path: Path
) -> None:
    """Else an object would be empty, and a list as if there were nothing."""
    proxy.cut = cut

    def broken(call: Callable[[], object]) -> object:
        proxy.trouble("truncate", times=2)
        return call()

    assert broken(lambda: store.get("k").body) == BODY
    assert broken(lambda: store.head("k").size) == len(BODY)
    assert broken(lambda: [info.key for info in store.list_page("").objects]) == ["k"]
    assert broken(lambda: store.download("k", str(tmp_path / "file"))) == hashlib.sha256(BODY).hexdigest()
    assert (tmp_path / "file").read_bytes() == BODY
    assert broken(lambda: store.purge("k")).versions == 1  # type: ignore[attr-defined]


def test_negative_control_the_sdk_alone_takes_half_of_the_headers_for_all(
    new_store: Callable[[str], S3Store], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = new_store("seaweedfs")
    whole.put("k", BODY)
    monkeypatch.setattr(AWSHTTPConnection, "response_class", HTTPResponse)
    store = S3Store(whole.bucket, proxy.url)
    proxy.cut = 60
    proxy.trouble("truncate", times=2)
    assert store.list_page("").objects == []


@pytest.mark.parametrize("cut", [15, 17, 40, 60, 90, 120, 150])
def test_a_signature_whose_reply_breaks_off_is_no_fault_of_ours(ministack_endpoint: str, cut: int) -> None:
    with between(ministack_endpoint) as network:
        service = aws.client("kms", endpoint_url=ministack_endpoint)
        key = service.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        signer = KmsKey(key, network.url)
        network.cut = cut
        network.trouble("truncate", times=1)
        assert signer.sign(b"a record")
        network.trouble("truncate")
        with pytest.raises(errors.Unavailable, match="nothing was changed"):
            signer.sign(b"a record")


def test_a_stalled_store_is_left(store: Store, proxy: Proxy) -> None:
    """The proxy never answers: without a limit of its own, the call would not return."""
    calls: list[Callable[[], object]] = [
        lambda: store.get("k"),
        lambda: store.put("new", b"x"),
        lambda: store.put("new", b"x", if_absent=True),
        lambda: store.list_page(""),
    ]
    for call in calls:
        proxy.trouble("stall")
        store._attempts = attempts.Attempts()  # type: ignore[attr-defined]
        if isinstance(store, LightStore):
            store.__dict__.pop("_full_store", None)
        with deadline.within(0.6), pytest.raises(Unavailable):
            call()
        assert proxy.stalled.is_set()
        proxy.trouble("pass")


def test_while_it_stalls_other_calls_do_not_wait(store: Store, proxy: Proxy) -> None:
    proxy.trouble("stall")
    with deadline.within(0.6), pytest.raises(Unavailable):
        store.get("k")
    before = proxy.hits
    for _ in range(20):
        with deadline.within(28.0), pytest.raises(Unavailable, match="a moment ago"):
            store.get("k")
    assert proxy.hits == before


def test_a_store_that_is_back_is_used(store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.trouble("stall")
    with deadline.within(0.6), pytest.raises(Unavailable):
        store.get("k")
    proxy.trouble("pass")
    store._attempts._next_try = 0.0  # type: ignore[attr-defined]  # the second is over
    assert store.get("k").body == BODY


def test_what_breaks_off_for_ever_is_an_error(store: Store, proxy: Proxy, tmp_path: Path) -> None:
    """A body that is cut short is never taken for the object."""
    store._attempts = attempts.Attempts(sleep=lambda seconds: None)  # type: ignore[attr-defined]
    proxy.trouble("truncate")
    with pytest.raises(Unavailable):
        store.get("k")
    with pytest.raises(Unavailable):
        store.download("k", str(tmp_path / "file"))
