"""The models that a process has loaded, by bytes: least recently used out first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shared.package.manifest import Manifest
from shared.registry.state import Version
from shared.runtime import memory
from shared.serving.wall import resident

if TYPE_CHECKING:
    from shared.runtime.signature import Session

# A session holds weights, graph and arena: measured at about twice the file for small models.
OVERHEAD = 2
# The share of its capacity that is let go before the C library is told to return what it holds: by itself it keeps most
# of it, in pieces too small for the next session. After each session, this would double the time of small loads.
TRIM, LEAST_TRIM = 1 / 8, 16 << 20

# the name, and all digests that an answer depends on: of the model, the manifest, and the package's other files,
# behind their names
Identity = tuple[str, ...]


def identity(model: str, version: Version) -> Identity:
    """Two versions with the same one are the same package, and share a session. Each call computes it: it is cheap.

    Not those of two models: who may call one of them is not to meet the other's callers behind the wall.
    """
    return (model, version.model, version.manifest, *version.files, *version.files.values())


class Entry(Struct):
    """A loaded model. cost: bytes of memory, estimated; of a confined session they are counted, where that is more.

    parts: see loaded.Loaded.
    """

    manifest: Manifest
    session: Session
    cost: int
    parts: dict[str, Any] = {}

    @property
    def memory(self) -> int:
        """Bytes, with those of its tokenizer's process."""
        others = sum(resident(part) for part in self.parts.values())
        return max(self.cost, resident(self.session)) + others


class Kept:
    """Not safe to share between threads: whoever has it has a lock. capacity: in bytes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[Identity, Entry] = OrderedDict()
        self._evicted = 0

    def __contains__(self, key: Identity) -> bool:
        return key in self._entries

    def entries(self) -> list[Entry]:
        """Least recently used first."""
        return list(self._entries.values())

    def get(self, key: Identity) -> Entry | None:
        """The entry, now the most recently used."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def add(self, key: Identity, entry: Entry) -> None:
        self._entries[key] = entry
        self.make_room()

    def let_go(self) -> None:
        """Of all: the disk has no room for the next one beside the files that these are mapped from."""
        self._entries.clear()
        memory.trim()

    def make_room(self, extra: int = 0) -> None:
        """Let go of what was not called for longest, where all together is more than there is room for; never of all.

        extra: bytes of what belongs to the newest, and is not among its parts yet.
        """
        costs = {key: entry.memory for key, entry in self._entries.items()}
        total = sum(costs.values()) + extra
        while total > self.capacity and len(self._entries) > 1:
            key, oldest = self._entries.popitem(last=False)
            total -= costs[key]
            self._evicted += oldest.cost  # more, where it was confined, is another process's, which ends
        if self._evicted >= max(self.capacity * TRIM, LEAST_TRIM):
            self._evicted = 0
            memory.trim()
