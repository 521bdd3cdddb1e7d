"""The contract of a store: the same tests on the shipped fake and on S3's interface."""

from __future__ import annotations

import hashlib
import threading
import uuid

import pytest

from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, list_all
from shared.storage.memory import MemoryStore
from shared.storage.s3 import S3Store


@pytest.fixture(params=["memory", "moto"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    endpoint = request.getfixturevalue("moto_endpoint")
    made = S3Store(f"b-{uuid.uuid4().hex[:12]}", endpoint)
    made._client.create_bucket(Bucket=made.bucket)
    return made


def test_reads_what_was_written(store: Store) -> None:
    etag = store.put("a/b", b"hello")
    assert store.get("a/b").body == b"hello"
    assert store.get("a/b").etag == etag
    assert store.head("a/b").size == 5


def test_ranged_get(store: Store) -> None:
    store.put("k", b"0123456789")
    assert store.get("k", start=3, length=4).body == b"3456"
    assert store.get("k", start=7).body == b"789"


def test_missing_object(store: Store) -> None:
    for read in (store.get, store.head):
        with pytest.raises(ObjectNotFound):
            read("nothing")
    store.delete("nothing")


def test_create_if_absent(store: Store) -> None:
    store.put("k", b"first", if_absent=True)
    with pytest.raises(AlreadyExists):
        store.put("k", b"second", if_absent=True)
    assert store.get("k").body == b"first"
    store.put("k", b"first", if_absent=True)  # its own earlier attempt


def test_compare_and_swap(store: Store) -> None:
    etag = store.put("k", b"one")
    second = store.put("k", b"two", if_match=etag)
    with pytest.raises(PreconditionFailed):
        store.put("k", b"three", if_match=etag)
    assert store.get("k").body == b"two"
    assert store.get("k").etag == second


def test_compare_and_swap_on_a_missing_object(store: Store) -> None:
    with pytest.raises(PreconditionFailed):
        store.put("k", b"x", if_match='"0"')


def test_listing_pages_and_prefixes(store: Store) -> None:
    for model in ("a", "b", "c"):
        for n in range(3):
            store.put(f"models/{model}/log/{n}", b"x")
    assert [i.key for i in list_all(store, "models/b/")] == [f"models/b/log/{n}" for n in range(3)]
    assert store.list_page("models/", delimiter="/").prefixes == ["models/a/", "models/b/", "models/c/"]
    assert store.list_page("models/", delimiter="/", after="models/a/~").prefixes == ["models/b/", "models/c/"]
    seen, token = [], None
    while True:
        page = store.list_page("models/", token=token, limit=2)
        seen += [i.key for i in page.objects]
        token = page.next
        if not token:
            break
    assert len(seen) == 9
    assert seen == sorted(set(seen))


def test_listing_after_a_key(store: Store) -> None:
    for n in range(5):
        store.put(f"log/{n}", b"x")
    assert [i.key for i in list_all(store, "log/", after="log/2")] == ["log/3", "log/4"]


def test_download_gives_the_digest(store: Store, tmp_path) -> None:
    body = bytes(range(256)) * 9000
    store.put("big", body)
    assert store.download("big", str(tmp_path / "f")) == hashlib.sha256(body).hexdigest()
    assert (tmp_path / "f").read_bytes() == body


def test_one_winner_among_racing_creators(store: Store) -> None:
    won: list[int] = []

    def create(n: int) -> None:
        try:
            store.put("race", f"writer {n}".encode(), if_absent=True)
            won.append(n)
        except AlreadyExists:
            pass

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("race").body == f"writer {won[0]}".encode()
