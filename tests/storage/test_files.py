"""Files of any size become objects: as they are, or not at all."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from shared.storage import parts
from shared.storage.base import ObjectNotFound, Store, Unavailable
from tests.storage.test_store import server, store

__all__ = ["server", "store"]  # fixtures


@pytest.mark.parametrize("size", [0, 1, 3 * 5 * 2**20 + 7])
def test_a_file_is_written_as_it_is(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(parts, "PART", 5 * 2**20)  # the smallest that S3 takes: then the large file goes in four
    content = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(content)
    store.put("large", b"before")
    store.upload("large", str(tmp_path / "file"))
    assert store.download("large", str(tmp_path / "copy")) == hashlib.sha256(content).hexdigest()
    assert store.head("large").size == size


def test_of_a_file_that_could_not_be_written_nothing_is_there(
    server: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, store = server
    monkeypatch.setattr(parts, "PART", 5 * 2**20)
    (tmp_path / "file").write_bytes(bytes(12 * 2**20))
    call = store._call  # type: ignore[attr-defined]

    def broken(key: str, operation: str, *arguments: Any, **more: Any) -> Any:
        if more.get("PartNumber") == 2:
            raise Unavailable("the store went away")
        return call(key, operation, *arguments, **more)

    monkeypatch.setattr(store, "_call", broken)
    with pytest.raises(Unavailable):
        store.upload("broken", str(tmp_path / "file"))
    with pytest.raises(ObjectNotFound):
        store.head("broken")
