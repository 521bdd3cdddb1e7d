"""The list of tokens, page by page."""

from __future__ import annotations

import pytest

from shared.access import listing, tokens
from shared.errors import BadInput
from shared.storage.memory import MemoryStore


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_have_every_token_once(limit: int) -> None:
    store = MemoryStore()
    created = [tokens.create(store, f"t{n}", ["infer"])[0].id for n in range(7)]
    for identity in created[::2]:
        tokens.revoke(store, identity)
    seen, following, pages = [], None, 0
    while pages == 0 or following is not None:
        page, following = listing.page(store, after=following, limit=limit)
        seen += page
        pages += 1
        assert len(page) <= limit
    assert [one.id for one in seen] == sorted(created)
    assert {one.id for one in seen if one.revoked} == set(created[::2])
    assert pages == -(-7 // limit)
    assert [one.id for one in listing.everything(store)] == sorted(created)


def test_a_page_reads_no_revocations_of_others() -> None:
    class Counting(MemoryStore):
        reads = 0

        def get(self, key: str, **options: int):  # type: ignore[override]
            self.reads += 1
            return super().get(key, **options)

    store = Counting()
    for n in range(20):
        tokens.revoke(store, tokens.create(store, f"t{n}", ["infer"])[0].id)
    store.reads = 0
    listing.page(store, limit=2)
    assert store.reads == 2 * 3


def test_a_cursor_is_a_token_s_id() -> None:
    with pytest.raises(BadInput):
        listing.page(MemoryStore(), after="../x")
