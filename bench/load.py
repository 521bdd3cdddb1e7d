"""A turn of load: some clients call one operation again and again for a while. Standard library only: the bench
environment of the peer imports it too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# makes the call of a client's n-th operation; the client is known by its number
Client = Callable[[int], None]


@dataclass
class Turn:
    """What came of a turn. seconds: from the first call to the last answer. latencies: seconds, of answers alone."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    problem: str = ""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def turn(clients: list[Client], seconds: float, most: int) -> Turn:
    """Let the clients call at the same time, each until the time is over or it has made `most` calls."""
    done = Turn()
    gate = threading.Barrier(len(clients) + 1)
    lock = threading.Lock()
    ends: list[float] = []

    def work(client: Client) -> None:
        latencies, errors, problem, n = [], 0, "", 0
        gate.wait()
        started = end = time.perf_counter()
        while n < most and end - started < seconds:
            before = time.perf_counter()
            try:
                client(n)
            except Exception as error:  # an answer that is no success is counted, never timed as one
                errors, problem = errors + 1, f"{type(error).__name__}: {error}"[:300]
                end = time.perf_counter()
            else:
                end = time.perf_counter()
                latencies.append(end - before)
            n += 1
        with lock:
            done.latencies += latencies
            done.errors += errors
            done.problem = problem or done.problem
            ends.append(end)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    done.seconds = max(ends) - started
    return done
