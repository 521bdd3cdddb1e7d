"""All ways in which the storage calls of a few actors can follow each other, one run for each (stateless search).

Each actor runs in a thread of its own and stops before every storage call until it is its turn; between two of its
calls it touches nothing shared. So a run is determined by whose turn it is at each step, and the runs are those of a
tree that is walked depth first: a run repeats the choices of the last one up to the deepest at which another actor
could have gone on, takes that one, and then the first that can, as far as it goes (Godefroid, "Model checking for
programming languages using VeriSoft", POPL 1997, without its reductions).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence

from shared.storage.base import Store
from tests.failing import Call, FailingStore

Actor = Callable[[Store], object]


class Stepping:
    """An actor that makes one storage call at a time. trouble: what it raised at its end, if it did."""

    def __init__(self, actor: Actor, store: Store) -> None:
        self.ended = False
        self.trouble: BaseException | None = None
        self._actor, self._store = actor, FailingStore(store, self._wait)
        self._turn, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)  # a failed run leaves it waiting for its turn
        self._thread.start()
        self._stopped.acquire()

    def step(self) -> None:
        """Make the next call, and go on to the one after it, or to the end."""
        self._turn.release()
        self._stopped.acquire()

    def _wait(self, call: Call) -> None:
        self._stopped.release()
        self._turn.acquire()

    def _run(self) -> None:
        try:
            self._actor(self._store)
        except BaseException as error:
            self.trouble = error
        self.ended = True
        self._stopped.release()


Check = Callable[[Store], None]
Begin = Callable[[], tuple[Store, Sequence[Actor], Check]]


def every(begin: Begin) -> int:
    """Run all interleavings. begin: a fresh store, the actors, and what must hold after each step. Returns how many."""
    chosen: list[int] = []
    runs = 0
    while True:
        choices = list(_one(begin, lambda step, ready, chosen=tuple(chosen): chosen[step] if step < len(chosen) else 0))
        runs += 1
        deepest = next((n for n in reversed(range(len(choices))) if choices[n][0] + 1 < choices[n][1]), None)
        if deepest is None:
            return runs
        chosen = [choice for choice, _ in choices[:deepest]] + [choices[deepest][0] + 1]


def some(begin: Begin, seed: int, runs: int) -> None:
    """As many interleavings as wanted, by chance."""
    rng = random.Random(seed)
    for _ in range(runs):
        list(_one(begin, lambda step, ready: rng.randrange(ready)))


def _one(begin: Begin, choose: Callable[[int, int], int]) -> Iterator[tuple[int, int]]:
    """One run. Yields which of the actors that can go on did so, and how many could, at each step."""
    store, actors, check = begin()
    running = [Stepping(actor, store) for actor in actors]
    step = 0
    while ready := [one for one in running if not one.ended]:
        choice = choose(step, len(ready))
        ready[choice].step()
        check(store)
        yield choice, len(ready)
        step += 1
    for one in running:
        if one.trouble is not None:
            raise one.trouble
