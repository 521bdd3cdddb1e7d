"""Items in groups: itertools.batched, which Python has since 3.12."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Of `size` items, the last one of those that are left. No more of them is taken than is asked for."""
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group
