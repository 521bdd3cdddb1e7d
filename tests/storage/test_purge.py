"""Deletion for good: no version of an object is left, on the shipped fake and on S3's interface with versioning."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.storage.base import Purged, Store, Unavailable
from shared.storage.memory import MemoryStore
from shared.storage.s3 import S3Store
from tests.servers import SERVERS


@pytest.fixture(params=SERVERS)
def versioned(request: pytest.FixtureRequest, new_store: Callable[[str], S3Store]) -> S3Store:
    store = new_store(request.param)
    store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    return store


def fill(store: Store) -> None:
    for name in ("a", "b"):
        store.put(f"uploads/one/files/{name}", b"old")
        store.put(f"uploads/one/files/{name}", b"newer")
    store.delete("uploads/one/files/b")
    store.put("uploads/one2/files/a", b"another's")
    store.put("uploads/one", b"another's")


def left(store: S3Store) -> set[str]:
    page = store.client.list_object_versions(Bucket=store.bucket)
    return {entry["Key"] for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]}


def test_every_version_goes_and_nothing_else(versioned: S3Store) -> None:
    fill(versioned)
    assert versioned.purge("uploads/one/") == Purged(objects=2, versions=4, bytes=16)
    assert left(versioned) == {"uploads/one2/files/a", "uploads/one"}
    assert versioned.purge("uploads/one/") == Purged()


def test_a_key_is_purged_alone(versioned: S3Store) -> None:
    fill(versioned)
    assert versioned.purge("uploads/one").objects == 1
    assert left(versioned) == {"uploads/one/files/a", "uploads/one/files/b", "uploads/one2/files/a"}


def test_the_whole_bucket_is_no_prefix(versioned: S3Store) -> None:
    for prefix in ("", "/"):
        with pytest.raises(ValueError, match="prefix"):
            versioned.purge(prefix)


def test_more_than_a_page(versioned: S3Store) -> None:
    for number in range(30):
        versioned.put(f"batch/j/in/{number}", b"x")
    listing = versioned.client.list_object_versions
    versioned.client.list_object_versions = lambda **args: listing(**args, MaxKeys=7)
    assert versioned.purge("batch/j/") == Purged(30, 30, 30)
    versioned.client.list_object_versions = listing
    assert left(versioned) == set()


def test_the_store_in_memory() -> None:
    store = MemoryStore()
    fill(store)
    assert store.purge("uploads/one/") == Purged(1, 1, 5)
    assert store.purge("uploads/one") == Purged(1, 1, 9)
    assert [info.key for info in store.list_page("").objects] == ["uploads/one2/files/a"]


@pytest.fixture(params=SERVERS)
def locked(request: pytest.FixtureRequest, new_store: Callable[[str], S3Store]) -> S3Store:
    """A bucket whose new objects are locked for a day."""
    store = new_store(request.param)
    bucket = f"{store.bucket}-locked"
    store.client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    store.client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
    store.bucket = bucket
    return store


def test_what_is_locked_is_hidden_and_told(locked: S3Store) -> None:
    fill(locked)
    for number in range(9):
        locked.put(f"uploads/one/files/{number}", b"x")
    listing = locked.client.list_object_versions
    locked.client.list_object_versions = lambda **args: listing(**args, MaxKeys=4)
    for _ in range(2):  # and so is what a second call does
        purged = locked.purge("uploads/one/")
        assert (purged.versions, purged.bytes, purged.kept) == (0, 0, 13)
        assert locked.list_page("uploads/one/").objects == []
    assert locked.get("uploads/one2/files/a").body == b"another's"


def test_without_a_lock_a_refusal_is_none(versioned: S3Store) -> None:
    fill(versioned)
    errors = [{"Key": "uploads/one/files/a", "VersionId": "1", "Code": "AccessDenied"}]
    versioned.client.delete_objects = lambda **_: {"Errors": errors}
    with pytest.raises(Unavailable, match=r"AccessDenied.*try again"):
        versioned.purge("uploads/one/")
