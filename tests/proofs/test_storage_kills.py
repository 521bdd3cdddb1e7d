"""The store itself is killed while writers are at work: what it acknowledged is there, and each open call is resolved.

SIGKILL, not a power failure: what the server gave to the kernel is on the disk. Writers are those of
test_concurrent.py: they repeat what was not answered, under the same request id.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import keys
from shared.errors import Unavailable
from shared.registry import verify
from shared.registry.fold import Broken
from shared.registry.log import Log
from shared.storage.base import Store, list_all
from tests import servers
from tests.proofs.linearizability import Disagreement, Operation
from tests.proofs.test_concurrent import judged, work
from tests.proofs.world import NAME
from tests.servers import SeaweedFS

# writers, turns of each, kills
SIZES = [(8, 8, 2), pytest.param(64, 20, 20, marks=pytest.mark.soak)]
LONGEST = 2.0  # seconds from an answer of the store to its next death


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path)
    yield server
    server.stop()


def contend(
    server: SeaweedFS, store: Store, writers: int, turns: int, kills: int, after: Callable[[Store], None]
) -> tuple[list[Operation], list[BaseException], int]:
    """What writers were answered, what ended some, how often the store died. after: what happens at each death."""
    history: list[Operation] = []
    troubles: list[BaseException] = []
    threads = [
        threading.Thread(target=work, args=(Log(store), writer, turns, history, troubles)) for writer in range(writers)
    ]
    for thread in threads:
        thread.start()
    rng, deaths = random.Random(writers), 0
    while deaths < kills and any(thread.is_alive() for thread in threads):
        time.sleep(rng.uniform(0.2, LONGEST))
        server.kill()
        server.start()
        after(store)
        deaths += 1
    for thread in threads:
        thread.join()
    return history, troubles, deaths


@pytest.mark.parametrize(("writers", "turns", "kills"), SIZES)
def test_a_store_that_dies_has_what_it_acknowledged(server: SeaweedFS, writers: int, turns: int, kills: int) -> None:
    store = servers.bucket(server.endpoint)
    history, troubles, deaths = contend(server, store, writers, turns, kills, lambda store: None)
    assert not troubles, repr(troubles[0])
    assert (len(history), deaths) == (writers * turns, kills)
    assert judged(store, history) == []
    assert verify.verify(Log(store), NAME).problems == []


def forget_the_newest(store: Store) -> None:
    """As a store that acknowledges before it has written."""
    newest = max((info.key for info in list_all(store, keys.log(NAME))), default=None)
    if newest:
        store.purge(newest)
        store.purge(keys.head(NAME))


def test_negative_control_a_store_that_forgets_is_found_out(server: SeaweedFS) -> None:
    found: list[Disagreement | BaseException] = []
    for _ in range(5):  # a record that is forgotten before its writer was answered is no loss
        store = servers.bucket(server.endpoint)
        history, troubles, _ = contend(server, store, 8, 8, 2, forget_the_newest)
        # killed in the middle of a removal, the server may have an object's name without its bytes: that shows nothing
        with contextlib.suppress(Unavailable):
            found += [trouble for trouble in troubles if isinstance(trouble, Broken)] or judged(store, history)
        if found:
            break
    assert found
