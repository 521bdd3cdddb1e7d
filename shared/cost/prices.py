"""What is paid for: prices with their date and region, which an operator replaces by the parameter `Prices`."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import platform
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from shared.errors import Unavailable

Price = Annotated[float, Meta(ge=0)]
Above = Annotated[float, Meta(gt=0)]


class Instance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that is always on, to compare with. hour: its price for one; vcpus: how many it has."""

    name: str
    hour: Above
    vcpus: Above


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List prices, in one currency. date: when they were looked up; source: where, and by whom.

    gb_second, gb_second_arm64: of a function, by its processor; GB are of 1,024 MB. million_calls: of functions.
    million_gateway_calls: of the REST API. transfer_gb: of answers that leave the region. storage_gb_month: of the
    bucket. Members that an operator leaves out are those of `REMEMBERED`.
    """

    region: str
    date: str
    source: str = "the parameter Prices"
    currency: str = "USD"
    gb_second: Price = 0.0000166667
    gb_second_arm64: Price = 0.0000133334
    million_calls: Price = 0.20
    million_gateway_calls: Price = 3.50
    transfer_gb: Price = 0.09
    storage_gb_month: Price = 0.023
    instance: Instance = Instance(name="c6i.large", hour=0.085, vcpus=2)

    def of_gb_second(self, machine: str | None = None) -> float:
        """machine: as platform.machine() has it; None: this one, as all functions of a deployment have one kind."""
        arm = (machine or platform.machine()).lower() in ("aarch64", "arm64")
        return self.gb_second_arm64 if arm else self.gb_second


REMEMBERED = Prices(
    region="us-east-1", date="2026-11-28", source="remembered, not looked up: set the parameter Prices to your own"
)


def parse(text: str) -> Prices:
    """The prices of the parameter; those that are remembered where it is empty. Raises Unavailable."""
    if not text.strip():
        return REMEMBERED
    try:
        return msgspec.json.decode(text, type=Prices)
    except msgspec.DecodeError as error:
        raise Unavailable(
            f"the parameter Prices of this deployment cannot be read ({error}): it is JSON with region and date, as in "
            '{"region": "eu-central-1", "date": "2026-11-28", "gb_second": 0.0000166667}'
        ) from error
