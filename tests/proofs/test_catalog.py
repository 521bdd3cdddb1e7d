"""Compactions of the catalog beside each other and beside writers: the index never goes back, and nothing is missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from shared import keys
from shared.registry import catalog, models
from shared.registry.log import Log
from shared.registry.state import Change
from shared.storage.base import ObjectNotFound, Store
from shared.storage.memory import MemoryStore
from tests.proofs.interleavings import Actor, some
from tests.proofs.stores import copy_of
from tests.registry.conftest import push

pytestmark = pytest.mark.usefixtures("no_waiting", "in_turn")
NAMES = ("a", "b")


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor makes one call at a time: its threads would not wait for their turn."""
    from tests.simulation.engine import Serial

    monkeypatch.setattr(catalog, "ThreadPoolExecutor", Serial)


def compacts(store: Store) -> None:
    catalog.compact(Log(store))


def edits(model: str) -> Actor:
    return lambda store: models.edit(Log(store), model, Change(by="ann"), tags=[model])


def begin() -> Callable[[], tuple[Store, Sequence[Actor], Callable[[Store], None]]]:
    made = MemoryStore()
    for name in NAMES:
        push(Log(made), name)
    catalog.compact(Log(made))
    models.edit(Log(made), "a", Change(by="ann"), tags=["first"])

    def fresh() -> tuple[Store, Sequence[Actor], Callable[[Store], None]]:
        store, seen = copy_of(made), dict.fromkeys(NAMES, 0)

        def check(_: Store) -> None:
            present = indexed(store)
            assert all(present[name] >= seen[name] for name in NAMES), "the index went back"
            seen.update(present)
            listed = catalog.list_models(Log(store))
            newest = {name: Log(store).read(name).revision for name in NAMES}
            assert {name: listed[name].revision for name in NAMES} == newest, "a listing misses a change"

        return store, [compacts, compacts, edits("a"), edits("b")], check

    return fresh


def indexed(store: Store) -> dict[str, int]:
    try:
        index = catalog.INDEX.decode(store.get(keys.CATALOG).body)
    except ObjectNotFound:
        return dict.fromkeys(NAMES, 0)
    return {name: index.models[name].revision for name in NAMES}


@pytest.mark.parametrize("runs", [150, pytest.param(5000, marks=pytest.mark.soak)])
def test_compactions_and_writers_in_any_order(runs: int) -> None:
    some(begin(), seed=1, runs=runs)


def test_negative_control_an_index_that_is_overwritten_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    put = MemoryStore.put

    def careless(store: MemoryStore, key: str, body: bytes, **options: object) -> str:
        return put(store, key, body, **({} if key == keys.CATALOG else options))  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryStore, "put", careless)
    with pytest.raises(AssertionError):
        some(begin(), seed=1, runs=150)
