"""A backup is complete while the service goes on, finds its own damage, and replaces nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops import backup
from shared import keys
from shared.access import listing, tokens
from shared.registry import aliases, models, verify
from shared.registry.log import Log
from shared.registry.state import Target
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push


@pytest.fixture
def source() -> MemoryStore:
    store = MemoryStore()
    log = Log(store)
    push(log, "m", 2)
    push(log, "n", 1)
    aliases.move(log, "m", "production", Target(version=2), ANN)
    tokens.create(store, "shop", ["infer"])
    store.put("uploads/019bae2fd40-0123456789abcdef/files/model.onnx", b"expires")
    return store


def test_what_is_restored_is_the_same_registry(source: MemoryStore, tmp_path: Path) -> None:
    copied, size = backup.save(source, tmp_path)
    target = MemoryStore()
    assert backup.restore(target, tmp_path) == copied
    assert size > 0
    log = Log(target)
    assert log.read("m") == Log(source).read("m")
    assert verify.verify(log, "m").verified
    manifest = models.manifest(log, log.version(log.read("m"), 2))
    assert manifest.name == "m"
    assert [token.name for token in listing.everything(target)] == ["shop"]
    assert not target.list_page("uploads/").objects


def test_a_second_backup_copies_what_is_new(source: MemoryStore, tmp_path: Path) -> None:
    backup.save(source, tmp_path)
    aliases.rollback(Log(source), "m", "production", ANN, 1)
    copied, _ = backup.save(source, tmp_path)
    mutable = len(listing.everything(source))
    assert copied == 1 + mutable
    target = MemoryStore()
    backup.restore(target, tmp_path)
    assert Log(target).read("m").number(None) == 1


def test_a_damaged_backup_writes_nothing(source: MemoryStore, tmp_path: Path) -> None:
    backup.save(source, tmp_path)
    record = tmp_path / "objects" / keys.log_record("m", 1)
    record.write_bytes(record.read_bytes()[:-1])
    target = MemoryStore()
    with pytest.raises(backup.BackupError, match="1 objects of the backup are missing or damaged"):
        backup.restore(target, tmp_path)
    assert not target.list_page("").objects


def test_nothing_else_is_replaced(source: MemoryStore, tmp_path: Path) -> None:
    backup.save(source, tmp_path)
    other = MemoryStore()
    push(Log(other), "m", 1)
    before = other.get(keys.log_record("m", 1)).body
    with pytest.raises(backup.BackupError, match="the bucket has another content at models/m/log/"):
        backup.restore(other, tmp_path)
    assert other.get(keys.log_record("m", 1)).body == before


def test_a_folder_without_a_backup_says_so(tmp_path: Path) -> None:
    with pytest.raises(backup.BackupError, match="is not a backup"):
        backup.restore(MemoryStore(), tmp_path)
