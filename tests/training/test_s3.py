"""Data in a bucket, against moto's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto import mock_aws

from training.data import dataset as data
from training.data import s3
from training.errors import TrainingError

CSV = b"a,b,class\n" + b"".join(b"%d,%d,%s\n" % (n, n * n % 9, b"yn"[n % 2 :][:1]) for n in range(40))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = boto3.client("s3")
        made.create_bucket(Bucket="sets")
        yield made


def test_a_folder_of_images_is_read_as_if_it_lay_here(
    client: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in folder.glob("*/*.png"):
        client.put_object(Bucket="sets", Key=f"my/set/{path.relative_to(folder).as_posix()}", Body=path.read_bytes())
    client.put_object(Bucket="sets", Key="my/set/left/", Body=b"")  # as consoles make folders
    client.put_object(Bucket="sets", Key="my/set-2/left/x.png", Body=b"another set")
    pages = paged(monkeypatch)
    loaded = data.load("s3://sets/my/set", tmp_path / "root", seed=0)
    assert len(pages) == 3
    here = data.load(str(folder), tmp_path, seed=0)
    assert np.array_equal(loaded.train[0], here.train[0])
    assert (loaded.about["name"], loaded.about["source"]) == ("set", "s3://sets/my/set")
    assert len(list((tmp_path / "root" / "s3").glob("*/set/*/*.png"))) == 120


def paged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Pages of 50 keys; the service's own are of 1,000. Returns what was asked for each."""
    make, pages = boto3.client, []

    def made(*args: Any, **options: Any) -> Any:
        found = make(*args, **options)
        listing = found.list_objects_v2
        found.list_objects_v2 = lambda **given: pages.append(given) or listing(**given, MaxKeys=50)
        return found

    monkeypatch.setattr(boto3, "client", made)
    return pages


def test_a_file_is_fetched_again_only_when_it_changed(client: Any, tmp_path: Path) -> None:
    client.put_object(Bucket="sets", Key="t.csv", Body=CSV)
    first = s3.fetch("s3://sets/t.csv", tmp_path)
    written = first.stat().st_mtime_ns
    assert first.name == "t.csv"
    assert first.read_bytes() == CSV
    assert s3.fetch("s3://sets/t.csv", tmp_path).stat().st_mtime_ns == written
    time.sleep(0.01)
    client.put_object(Bucket="sets", Key="t.csv", Body=CSV + b"1,2,y\n")
    again = s3.fetch("s3://sets/t.csv", tmp_path)
    assert again != first
    assert again.read_bytes() == CSV + b"1,2,y\n"
    assert data.load("s3://sets/t.csv", tmp_path, seed=0).kind == "table"


def test_a_download_that_breaks_off_leaves_nothing_behind(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        client.put_object(Bucket="sets", Key=f"set/{n}.csv", Body=CSV)

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(s3.shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            s3.fetch("s3://sets/set", tmp_path)
    assert list((tmp_path / "s3").iterdir()) == []
    assert len(list(s3.fetch("s3://sets/set/", tmp_path).iterdir())) == 3


@pytest.mark.parametrize("breaks_off", [False, True])
def test_two_trainings_may_fetch_the_same_at_a_time(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks_off: bool
) -> None:
    """The second one removed what the first had so far, and the rest was taken for all of it from then on."""
    for n in range(4):
        client.put_object(Bucket="sets", Key=f"set/{n}.csv", Body=CSV)
    monkeypatch.setattr(s3, "THREADS", 1)
    copy, copied = s3.shutil.copyfileobj, []

    def counting(*given: Any) -> None:
        copied.append(given)
        if len(copied) == 3:  # the other training begins
            try:
                s3.fetch("s3://sets/set", tmp_path)
            except OSError:
                assert breaks_off
        if len(copied) == 5 and breaks_off:  # and is stopped
            raise OSError("No space left on device")
        copy(*given)

    monkeypatch.setattr(s3.shutil, "copyfileobj", counting)
    found = s3.fetch("s3://sets/set", tmp_path)
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {f"{n}.csv": CSV for n in range(4)}
    assert list((tmp_path / "s3").iterdir()) == [found.parent]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://", "names no bucket"),
        ("s3://nowhere/x", "there is no bucket 'nowhere'"),
        ("s3://sets/nothing", "has no objects"),
        ("s3://A B/x", "cannot be read"),
        ("s3://sets/up", "has '..' in its name"),
    ],
)
def test_what_is_not_there_is_told(client: Any, tmp_path: Path, url: str, message: str) -> None:
    client.put_object(Bucket="sets", Key="up/../../x.csv", Body=CSV)
    with pytest.raises(TrainingError, match=message):
        data.load(url, tmp_path, seed=0)
    assert not (tmp_path / "x.csv").exists()


def test_access_that_is_denied_is_told(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.core import set_initial_no_auth_action_count

    @set_initial_no_auth_action_count(0)
    def denied() -> None:
        with pytest.raises(TrainingError, match=r"access is denied .*: the credentials need s3:ListBucket"):
            s3.fetch("s3://sets/x", tmp_path)

    denied()
