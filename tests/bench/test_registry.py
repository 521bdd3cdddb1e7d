"""The registry's requests, as bench.registry counts them."""

from __future__ import annotations

from bench import registry
from shared.storage.memory import MemoryStore


def test_the_requests_are_those_of_the_study() -> None:
    """A transition, a resolution or a page takes as many requests of the store as it did when they were measured."""
    counted = registry.measure(MemoryStore(), 2)
    assert registry.differences({"memory": counted, "s3": counted}) == []


def test_a_request_more_is_seen() -> None:
    counted = registry.measure(MemoryStore(), 2)
    other = {title: figures | {"requests": "9 GET"} for title, figures in counted.items()}
    assert len(registry.differences({"memory": counted, "s3": other})) == len(registry.OPERATIONS)
