"""What calls cost, from what was counted of them. Pure: no storage, no clock.

Serverless cost grows with calls, an instance's does not: where the two lines meet is the break-even.
"""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import math
from typing import NamedTuple

from msgspec import Struct

from shared.cost.prices import Instance, Prices
from shared.counts.counts import Counts

VCPU_MB = 1769  # of a function's memory, for which it gets one vCPU; below, a share of one
MONTH_HOURS = 730
GIB = 1024**3
BATCH = "batch"  # the route of calls that a batch job makes itself: no gateway, and one invocation for many


class Amounts(Struct, kw_only=True):
    """In the prices' currency. compute: from the event to the answer, and starts: of processes, as far as our code
    sees them; both by memory and time. calls: of the function. gateway: of the REST API. transfer: of answers' bodies.
    storage: of blobs.
    """

    compute: float = 0.0
    starts: float = 0.0
    calls: float = 0.0
    gateway: float = 0.0
    transfer: float = 0.0
    storage: float = 0.0

    @property
    def of_calls(self) -> float:
        """All of it but storage, which is paid without calls, too."""
        return self.compute + self.starts + self.calls + self.gateway + self.transfer

    @property
    def total(self) -> float:
        return self.of_calls + self.storage

    def add(self, other: "Amounts") -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Rates(NamedTuple):
    """What a function has, and what that costs. memory_mb: of the function that predicts."""

    prices: Prices
    memory_mb: int

    @property
    def millisecond(self) -> float:
        return self.of_mb_ms(self.memory_mb)

    def of_mb_ms(self, amount: float) -> float:
        """What milliseconds cost, times the MB of memory that the function had in them."""
        return amount / 1024 * self.prices.of_gb_second() / 1000

    @property
    def vcpus(self) -> float:
        """How much of a vCPU the function has; more than one helps one model only where it uses threads."""
        return self.memory_mb / VCPU_MB


def answers(counts: Counts) -> int:
    """Calls that were answered as they were meant to be; those that failed are paid for all the same."""
    return max(counts.requests - counts.client_errors - counts.server_errors, 0)


def over_http(counts: Counts) -> int:
    return max(counts.requests - counts.routes.get(BATCH, 0), 0)


def of_calls(counts: Counts, rates: Rates) -> Amounts:
    prices, calls = rates.prices, over_http(counts)
    return Amounts(
        compute=rates.of_mb_ms(_mb_ms(counts.billed_ms, counts.billed_by_mb, rates)),
        starts=rates.of_mb_ms(_mb_ms(counts.cold_ms, counts.cold_by_mb, rates)),
        calls=calls * prices.million_calls / 1e6,
        gateway=calls * prices.million_gateway_calls / 1e6,
        transfer=counts.bytes_out / GIB * prices.transfer_gb,
    )


def _mb_ms(total_ms: int, by_mb: dict[str, int], rates: Rates) -> float:
    """Milliseconds times MB; those of processes that did not know their memory have that of today."""
    unknown = max(total_ms - sum(by_mb.values()), 0)
    return unknown * rates.memory_mb + sum(int(memory) * ms for memory, ms in by_mb.items())


def of_storage(stored_bytes: int, minutes: float, prices: Prices) -> float:
    return stored_bytes / GIB * prices.storage_gb_month * minutes / (60 * MONTH_HOURS)


class BreakEven(NamedTuple):
    """calls: in a month, from which on the instance is cheaper; None: at no number, as it would be full before.

    capacity: calls in a month that it can answer. per_call: what one costs without it.
    """

    calls: int | None
    capacity: int
    per_call: float


def break_even(
    counts: Counts, rates: Rates, instance: Instance, utilization: float, *, gateway: bool
) -> BreakEven | None:
    """From the measured time of all calls; None without any.

    utilization: the share of the instance's time that is used, on the mean over a month. gateway: whether the API
    Gateway is spared with the functions. Transfer and storage are paid either way. Where one instance that is full
    costs more for a call than a function does, then so do several.
    """
    if not counts.requests or not counts.billed_ms:
        return None
    amounts = of_calls(counts, rates)
    prices = rates.prices
    by_call = prices.million_calls + (prices.million_gateway_calls if gateway else 0.0)
    per_call = (amounts.compute + amounts.starts) / counts.requests + by_call / 1e6
    busy_ms = counts.billed_ms / counts.requests * min(rates.vcpus, 1.0)
    capacity = int(utilization * instance.vcpus * MONTH_HOURS * 3_600_000 / busy_ms)
    calls = math.ceil(MONTH_HOURS * instance.hour / per_call) if per_call else None
    return BreakEven(calls if calls is not None and calls <= capacity else None, capacity, per_call)
