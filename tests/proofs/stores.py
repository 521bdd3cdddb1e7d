"""What proofs do to the shipped in-memory store that no client can do: copy it, and let what it holds grow old."""

from __future__ import annotations

from dataclasses import replace

from shared.storage.memory import MemoryStore


def copy_of(store: MemoryStore, *, without: str = "\0") -> MemoryStore:
    """A store with the same objects, except those whose keys contain `without`."""
    twin = MemoryStore()
    twin._objects = {key: stored for key, stored in store._objects.items() if without not in key}
    twin._writes = store._writes
    return twin


def age(store: MemoryStore, prefix: str, seconds: float) -> None:
    """Make the objects below a prefix older than they are."""
    for key, stored in list(store._objects.items()):
        if key.startswith(prefix):
            store._objects[key] = replace(stored, modified=stored.modified - seconds)


def keys_of(store: MemoryStore, prefix: str = "") -> set[str]:
    return {key for key in store._objects if key.startswith(prefix)}
