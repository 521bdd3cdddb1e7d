"""Costs as `GET /models/{model}/cost` and `GET /costs` answer them: amounts by version, and what they rest on."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import asdict

from shared.cost import cost
from shared.cost.cost import Amounts, Rates
from shared.cost.prices import Instance, Prices
from shared.counts.counts import Counts
from shared.paging import NextPage

DIGITS = 6  # of an amount; there are no more in prices
NOT_INCLUDED = [
    "work after answers: shadows, and writing what was counted",
    "the part of a process's start that is before our code",
    "the authorizer, KMS, logs, traces and the few requests to the bucket",
    "uploads, training, and what a batch job's steps wait",
    "free tiers and discounts",
]
ASSUMED = [
    "answers are transferred to the internet, as large as their bodies; inside of the region that is free",
    "a batch job's calls are rounded up to whole milliseconds one by one",
    "a blob that several versions have is counted for the first of them",
]

Money = Annotated[float, Meta(description="in the currency of the prices")]


class CostParts(Struct, kw_only=True):
    """compute: from events to answers; starts: of processes, as far as our code sees them. calls: of the function.

    gateway: of the REST API. transfer: of answers. storage: of the versions' blobs, for the time of the span.
    """

    compute: Money
    starts: Money
    calls: Money
    gateway: Money
    transfer: Money
    storage: Money | None


class _Costs(Struct, kw_only=True):
    requests: int
    answers: Annotated[int, Meta(description="requests without those that failed, which are paid for, too")]
    batch: Annotated[int, Meta(description="of the requests, those that batch jobs made")]
    billed_ms: int
    mean_ms: Annotated[float | None, Meta(description="billed milliseconds of a request, on the mean")]
    parts: CostParts
    total: Money
    per_1000_answers: Annotated[Money | None, Meta(description="without storage; null without answers")]
    stored_bytes: Annotated[int | None, Meta(description="null where the bucket has too many blobs to list")]


class VersionCost(_Costs, kw_only=True):
    version: int


class CostOfModel(_Costs, kw_only=True):
    """All versions of a model together."""

    model: str


class ComparedInstance(Struct, kw_only=True):
    """hour: its price for one."""

    name: str
    hour: Money
    vcpus: float


class CostBreakEven(Struct, kw_only=True):
    """From how many calls a month an instance that is always on is cheaper; null where it is at no number.

    calls: where it takes the place of function and gateway; calls_behind_gateway: of the function alone. capacity:
    calls that one such instance answers in a month. per_call, per_call_behind_gateway: what a call costs without it.
    """

    instance: ComparedInstance
    utilization: float
    calls: int | None
    per_call: Money
    calls_behind_gateway: int | None
    per_call_behind_gateway: Money
    capacity: int
    assumed: str


class UsedPrices(Struct, kw_only=True):
    """source: where they are from. gb_second: of the processor that the deployment has."""

    region: str
    date: str
    source: str
    currency: str
    gb_second: float
    million_calls: float
    million_gateway_calls: float
    transfer_gb: float
    storage_gb_month: float


class _Basis(Struct, kw_only=True):
    """since, until: the span. left_out: stored counts that cannot be read; dropped: calls that were not counted."""

    since: str
    until: str
    memory_mb: int
    prices: UsedPrices
    not_included: list[str]
    assumed: list[str]
    left_out: int
    dropped: int


class ModelCost(_Basis, kw_only=True):
    """What a model's calls and versions cost in a span. break_even: null without calls."""

    model: str
    versions: list[VersionCost]
    sum: CostOfModel
    break_even: CostBreakEven | None


class CostList(_Basis, kw_only=True):
    models: list[CostOfModel]
    next: NextPage = None


def money(amount: float) -> float:
    return float(f"{amount:.{DIGITS}g}")


def version(number: int, counts: Counts, amounts: Amounts, stored: int | None) -> VersionCost:
    return VersionCost(version=number, **_members(counts, amounts, stored))


def model(name: str, counts: Counts, amounts: Amounts, stored: int | None) -> CostOfModel:
    return CostOfModel(model=name, **_members(counts, amounts, stored))


def _members(counts: Counts, amounts: Amounts, stored: int | None) -> dict[str, Any]:
    parts: dict[str, Any] = {name: money(amount) for name, amount in asdict(amounts).items()}
    answered = cost.answers(counts)
    return {
        "requests": counts.requests,
        "answers": answered,
        "batch": counts.routes.get(cost.BATCH, 0),
        "billed_ms": counts.billed_ms,
        "mean_ms": money(counts.billed_ms / counts.requests) if counts.requests else None,
        "parts": CostParts(**(parts | ({} if stored is not None else {"storage": None}))),
        "total": money(amounts.total),
        "per_1000_answers": money(1000 * amounts.of_calls / answered) if answered else None,
        "stored_bytes": stored,
    }


def used(prices: Prices) -> UsedPrices:
    members = {name: getattr(prices, name) for name in UsedPrices.__struct_fields__ if name != "gb_second"}
    return UsedPrices(gb_second=prices.of_gb_second(), **members)


def break_even(counts: Counts, rates: Rates, instance: Instance, utilization: float) -> CostBreakEven | None:
    alone, behind = (
        cost.break_even(counts, rates, instance, utilization, gateway=gateway) for gateway in (True, False)
    )
    if alone is None or behind is None:
        return None
    return CostBreakEven(
        instance=ComparedInstance(name=instance.name, hour=instance.hour, vcpus=instance.vcpus),
        utilization=utilization,
        calls=alone.calls,
        per_call=money(alone.per_call),
        calls_behind_gateway=behind.calls,
        per_call_behind_gateway=money(behind.per_call),
        capacity=alone.capacity,
        assumed=(
            f"one instance, paid for all {cost.MONTH_HOURS} hours a month, busy for {100 * utilization:g} % of them; a "
            "call takes it as much of one vCPU as it was billed for; nobody is paid to run it, and while it is "
            "replaced or has failed nobody is answered"
        ),
    )
