"""The contract of a store: the same tests on the shipped fake and on S3's interface."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import httpx
import pytest

from shared.storage import light
from shared.storage.base import (
    AlreadyExists,
    ObjectNotFound,
    PreconditionFailed,
    Store,
    Unavailable,
    get_many,
    list_all,
)
from shared.storage.memory import MemoryStore
from tests import servers
from tests.failing import Call, Crash, FailingStore, Fault, crash_at, randomly
from tests.servers import SERVERS

KINDS = ["memory", *SERVERS, "light"]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> Store:
    if request.param != "light":
        return new_store(request.param)
    # what functions have: it reads by obstore and writes by boto3
    return light.store(new_store("seaweedfs").bucket, request.getfixturevalue("seaweedfs_endpoint"))


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
    keys, token = [], None
    while True:
        page = store.list_page("models/", token=token, limit=2)
        keys += [i.key for i in page.objects]
        token = page.next
        if not token:
            break
    assert len(keys) == 9
    assert keys == sorted(set(keys))


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


def test_deleting_one_version_leaves_what_was_written_since(store: Store) -> None:
    store.put("k", b"same bytes")
    version = store.head("k").version
    assert version is not None
    store.put("k", b"same bytes")
    store.delete("k", version=version)
    assert store.get("k").body == b"same bytes"
    store.delete("k", version=store.head("k").version)
    store.delete("k", version=version)
    with pytest.raises(ObjectNotFound):
        store.get("k")


def test_create_again_after_a_deletion(store: Store) -> None:
    store.put("k", b"one", if_absent=True)
    store.delete("k")
    store.put("k", b"two", if_absent=True)
    assert store.get("k").body == b"two"


def test_reading_many_in_order(store: Store) -> None:
    names = [f"k/{n:03d}" for n in range(40)]
    for name in names:
        store.put(name, name.encode())
    assert [read.body.decode() for read in get_many(store, names)] == names
    assert get_many(store, []) == []
    with pytest.raises(ObjectNotFound):
        get_many(store, [*names, "k/none"])
    assert get_many(store, ["k/none", names[0]], missing=b"-")[0].body == b"-"


def test_a_counter_under_compare_and_swap_loses_nothing(store: Store) -> None:
    store.put("counter", b"0")

    def count() -> None:
        for _ in range(5):
            while True:
                present = store.get("counter")
                try:
                    # the writer's own mark: equal numbers by two writers would pass for one lost reply
                    store.put(
                        "counter",
                        b"%d %d" % (int(present.body.split()[0]) + 1, threading.get_ident()),
                        if_match=present.etag,
                    )
                    break
                except PreconditionFailed:
                    continue

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(store.get("counter").body.split()[0]) == 20


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> tuple[str, Store]:
    return request.param, new_store(request.param)


def test_a_presigned_url_creates_and_never_replaces(server: tuple[str, Store]) -> None:
    _, store = server
    sha256 = hashlib.sha256(b"hello").hexdigest()
    url, headers = store.presign_put("up/x", expires=60, size=5, sha256=sha256)
    assert httpx.put(url, content=b"hello", headers=headers).status_code == 200
    assert httpx.put(url, content=b"hello", headers=headers).status_code == 412
    assert store.get("up/x").body == b"hello"


# What the servers enforce of a presigned URL; AWS refuses all three. A change in any of them should be noticed.
ENFORCED = {
    "another length": {"moto": 200, "ministack": 403, "seaweedfs": 403},
    "without its condition": {"moto": 200, "ministack": 403, "seaweedfs": 403},
    "another content": {"moto": 200, "ministack": 400, "seaweedfs": 400},
}


@pytest.mark.parametrize("abuse", ENFORCED)
def test_abuse_of_a_presigned_url(server: tuple[str, Store], abuse: str) -> None:
    kind, store = server
    sha256 = hashlib.sha256(b"hello").hexdigest()
    url, headers = store.presign_put("up/x", expires=60, size=5, sha256=sha256)
    content = {"another length": b"hello!", "another content": b"jello"}.get(abuse, b"hello")
    headers = {**headers, "Content-Length": str(len(content))}
    if abuse == "without its condition":
        del headers["If-None-Match"]
    assert httpx.put(url, content=content, headers=headers).status_code == ENFORCED[abuse][kind]


def test_an_upload_in_parts(server: tuple[str, Store]) -> None:
    _, store = server
    parts, complete, _ = store.presign_multipart("up/big", expires=60, sizes=[5 * 1024 * 1024, 1])
    assert all("content-length" in url for url in parts), "the size is signed: see the enforced abuses above"
    bodies = [b"a" * 5 * 1024 * 1024, b"b"]
    tags = [httpx.put(url, content=body).headers["etag"] for url, body in zip(parts, bodies, strict=True)]
    listed = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in enumerate(tags, start=1)
    )
    completed = httpx.post(complete, content=f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>")
    assert completed.status_code == 200, completed.text
    assert store.head("up/big").size == 5 * 1024 * 1024 + 1


def test_a_bucket_without_versions_says_so(seaweedfs_endpoint: str) -> None:
    store = servers.bucket(seaweedfs_endpoint, versions=False)
    store.put("k", b"x")
    assert store.head("k").version is None


def test_faults_come_where_the_plan_says() -> None:
    inner = MemoryStore()
    failing = FailingStore(inner, lambda call: Fault(after=Unavailable("lost")) if call.number == 2 else None)
    failing.put("a", b"1")
    with pytest.raises(Unavailable):
        failing.put("b", b"2")
    assert inner.get("b").body == b"2"
    failing.plan = crash_at(4, after=False)
    failing.head("a")
    with pytest.raises(Crash):
        failing.delete("a")
    assert inner.get("a").body == b"1"
    assert [(call.number, call.operation, call.key) for call in failing.calls] == [
        (1, "put", "a"),
        (2, "put", "b"),
        (3, "head", "a"),
        (4, "delete", "a"),
    ]


def test_random_faults_have_their_share_and_repeat() -> None:
    def drawn(seed: int) -> list[str]:
        plan = randomly(seed, before=0.1, after=0.2, only=("put",))
        faults = [plan(Call(n, "put", "k")) or Fault() for n in range(2000)]
        assert (plan(Call(1, "get", "k")) or Fault()).before is None
        return ["before" if fault.before else "after" if fault.after else "-" for fault in faults]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 150 < drawn(1).count("before") < 250
    assert 340 < drawn(1).count("after") < 460


def test_the_failing_store_covers_the_whole_protocol() -> None:
    protocol = {name for name in vars(Store) if not name.startswith("_")}
    assert protocol == {name for name in vars(FailingStore) if not name.startswith("_")}
