"""What follows from counts: costs, and how canaries do. It only reads, and has numpy, which the control plane lacks."""

from __future__ import annotations

from functions.figures.contract import CostQuery, CostsQuery
from shared.access import scopes
from shared.cost import answer, views
from shared.cost.cost import Rates
from shared.cost.prices import parse
from shared.entry.http import Request, Routes
from shared.entry.wiring import config
from shared.entry.wiring import reading as log
from shared.release import views as release

handler = Routes("figures")
MODEL = "/models/{model}"


@handler.route("GET", MODEL + "/cost", id="getModelCost", scope="read", query=CostQuery, gives=views.ModelCost)
def get_cost(request: Request, query: CostQuery) -> views.ModelCost:
    """What a model's calls cost, by version and for 1,000 answers, and from how many on an instance is cheaper"""
    rates = _rates()
    instance = query.instance(rates.prices.instance)
    return answer.of_model(
        log(), request.params["model"], rates, instance, query.utilization, since=query.since, until=query.until
    )


@handler.route(
    "GET", "/costs", id="listModelCosts", scope="read", models="each", query=CostsQuery, gives=views.CostList
)
def list_costs(request: Request, query: CostsQuery) -> views.CostList:
    """What the calls of each model cost, a page at a time"""

    def permitted(model: str) -> bool:
        return scopes.allows(request.scopes, "read", model)

    return answer.of_models(
        log(), _rates(), permitted, since=query.since, until=query.until, limit=query.limit, next=query.next
    )


@handler.route("GET", MODEL + "/aliases/{alias}/release", id="getRelease", scope="read", gives=release.Release)
def get_release(request: Request) -> release.Release:
    """What the watcher would decide of an alias now, and the evidence so far; it decides nothing by that"""
    from shared.release import answer as releases  # numpy, which no other route waits for

    return releases.of_alias(log(), request.params["model"], request.params["alias"])


def _rates() -> Rates:
    """Raises Unavailable where the deployment's prices cannot be read."""
    return Rates(parse(config().prices), config().inference_memory)
