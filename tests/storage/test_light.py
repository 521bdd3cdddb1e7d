"""The light store reads as the whole one does, on the same servers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.storage import light
from shared.storage.base import ObjectNotFound, Store, Unavailable
from shared.storage.s3 import S3Store
from tests.servers import SERVERS


@pytest.fixture(params=SERVERS)
def pair(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> tuple[Store, Store]:
    whole = new_store(request.param)
    endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    return whole, light.store(whole.bucket, endpoint)


def test_reads_what_the_whole_store_wrote(pair: tuple[Store, Store]) -> None:
    whole, read = pair
    for key, body in {"a/b": b"hello", "empty": b"", "ü ä+%": bytes(range(256)) * 30000}.items():
        whole.put(key, body)
        assert read.get(key) == whole.get(key)
        assert type(read.get(key).body) is bytes


def test_ranges(pair: tuple[Store, Store]) -> None:
    whole, read = pair
    whole.put("k", b"0123456789")
    for range_ in ({"start": 3, "length": 4}, {"start": 7}, {"length": 2}, {"start": 8, "length": 9}):
        assert read.get("k", **range_).body == whole.get("k", **range_).body


@pytest.mark.parametrize("size", [0, 1, light.PART, light.PART + 1, 3 * light.PART + 7])
def test_a_download_in_parts_is_the_object(
    seaweedfs_endpoint: str, new_store: Callable[[str], Store], tmp_path: Path, size: int
) -> None:
    whole = new_store("seaweedfs")
    body = os.urandom(1021) * (size // 1021 + 1)
    whole.put("k", body[:size])
    read = light.store(whole.bucket, seaweedfs_endpoint)
    assert read.download("k", str(tmp_path / "f")) == hashlib.sha256(body[:size]).hexdigest()
    assert (tmp_path / "f").read_bytes() == body[:size]
    with pytest.raises(FileExistsError):
        read.download("k", str(tmp_path / "f"))


def test_a_download_that_breaks_off_says_so(
    seaweedfs_endpoint: str, new_store: Callable[[str], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = new_store("seaweedfs")
    whole.put("k", bytes(5 * light.PART))
    read = light.store(whole.bucket, seaweedfs_endpoint)
    got = read._read_range

    def broken(key: str, start: int, length: int | None):
        if start == 3 * light.PART:
            raise Unavailable("cut off")
        return got(key, start, length)

    monkeypatch.setattr(read, "_read_range", broken)
    with pytest.raises(Unavailable, match="cut off"):
        read.download("k", str(tmp_path / "f"))
    with pytest.raises(ObjectNotFound):
        read.download("nothing", str(tmp_path / "g"))


def test_what_is_not_there(pair: tuple[Store, Store]) -> None:
    _, read = pair
    with pytest.raises(ObjectNotFound, match="nothing"):
        read.get("nothing")


def test_a_bucket_that_is_gone_is_no_missing_object(seaweedfs_endpoint: str) -> None:
    with pytest.raises(Unavailable):
        light.store("no-such-bucket", seaweedfs_endpoint).get("k")


def test_without_an_endpoint_it_is_amazons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    remote = light.LightStore("my-bucket")._remote(5.0)
    assert remote.config["region"] == "eu-central-1"
    assert "endpoint" not in remote.config


def test_nobody_listens() -> None:
    with pytest.raises(Unavailable, match="try again"):
        light.store("b", "http://127.0.0.1:9").get("k")


def test_all_else_is_the_whole_store(pair: tuple[Store, Store]) -> None:
    _, read = pair
    read.put("k", b"x", if_absent=True)
    assert [info.key for info in read.list_page("").objects] == ["k"]
    assert read.get("k").body == b"x"


def test_credentials_that_only_the_sdk_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert isinstance(light.store("b", "http://127.0.0.1:9"), S3Store)
    assert "AWS_SECRET_ACCESS_KEY" in os.environ
