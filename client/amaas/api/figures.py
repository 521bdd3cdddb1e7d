"""What follows from the counts of a model's calls: what they cost, and how a canary does."""

from __future__ import annotations

from amaas.api.connection import Connection, Json


class Figures(Connection):
    def get_model_cost(
        self,
        model: str,
        *,
        since: str = "30d",
        until: str | None = None,
        instance_hour: float | None = None,
        instance_vcpus: float | None = None,
        utilization: float | None = None,
    ) -> Json:
        """What a model's calls cost: `versions` and their `sum`, by part, in all and for 1,000 answers; `break_even`.

        since, until: a time (2026-01-31T17:00:00Z), or so long ago: 24h, 30d. instance_hour, instance_vcpus: price and
        size of the instance that is compared with; utilization: the share of its time that it is busy for.
        """
        parameters = {
            "since": since,
            "until": until,
            "instance_hour": instance_hour,
            "instance_vcpus": instance_vcpus,
            "utilization": utilization,
        }
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return self._call("getModelCost", {"model": model}, params=query)

    def list_model_costs(self, *, since: str = "30d", until: str | None = None) -> Json:
        """What the calls of all `models` cost that the token may read, with the prices that it is computed with."""
        query = {"since": since} | ({"until": until} if until is not None else {})
        answer = self._call("listModelCosts", params=query)
        while answer["next"]:
            more = self._call("listModelCosts", params=query | {"next": answer["next"]})
            answer = more | {"models": answer["models"] + more["models"]}
        return answer

    def get_release(self, model: str, alias: str = "production") -> Json:
        """How an alias' canary does: `verdict` (wait, roll-back, go-on; None: not watched), `reason`, `evidence`.

        Nothing is moved by asking.
        """
        return self._call("getRelease", {"model": model, "alias": alias})
