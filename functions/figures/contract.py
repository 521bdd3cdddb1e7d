"""What the queries of figures may say."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared.cost.prices import Instance
from shared.paging import CURSOR, limit

Since = Annotated[str, Meta(max_length=40, description="a time (2026-01-31T17:00:00Z), or so long ago: 24h, 30d")]
Until = Annotated[str | None, Meta(description="a time, or so long ago; omitted: now")]


class CostQuery(Struct):
    since: Since = "30d"
    until: Until = None
    instance_hour: Annotated[
        Annotated[float, Meta(gt=0, le=10**6)] | None,
        Meta(description="price of one hour of the instance to compare with; omitted: that of the deployment's prices"),
    ] = None
    instance_vcpus: Annotated[
        Annotated[float, Meta(gt=0, le=10**4)] | None, Meta(description="how many vCPUs it has")
    ] = None
    instance_name: Annotated[
        Annotated[str, Meta(max_length=64)] | None, Meta(description="what it is called in the answer")
    ] = None
    utilization: Annotated[
        float, Meta(gt=0, le=1, description="the share of its time that it is busy for, on the mean")
    ] = 0.5

    def instance(self, usual: Instance) -> Instance:
        """The instance to compare with; of the usual one, what is not said."""
        own = self.instance_hour is not None or self.instance_vcpus is not None
        return Instance(
            name=self.instance_name or ("the named instance" if own else usual.name),
            hour=self.instance_hour or usual.hour,
            vcpus=self.instance_vcpus or usual.vcpus,
        )


class CostsQuery(Struct):
    since: Since = "30d"
    until: Until = None
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit(50)] = 20
