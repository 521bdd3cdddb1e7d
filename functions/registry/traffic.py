"""Routes about what became of a model's calls. Their logic is imported by the call: no other route waits for it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import asdict

from functions.registry.contract import AccuracyQuery, DriftQuery, StatsQuery
from shared.accuracy.views import ModelAccuracy
from shared.counts.views import ModelCounts
from shared.drift.views import ModelDrift
from shared.entry.http import Request, Routes
from shared.registry import models
from shared.registry.log import Log

MODEL = "/models/{model}"


def add_routes(handler: Routes, log: Callable[[], Log]) -> None:
    @handler.route("GET", MODEL + "/stats", id="getModelCounts", scope="read", query=StatsQuery, gives=ModelCounts)
    def get_counts(request: Request, query: StatsQuery) -> ModelCounts:
        """What was counted of a model's calls: sums by version and alias, and how they went on"""
        from shared.counts import answer

        return answer.answer(log().store, models.get(log(), request.params["model"]).model, **asdict(query))

    @handler.route("GET", MODEL + "/drift", id="getModelDrift", scope="read", query=DriftQuery, gives=ModelDrift)
    def get_drift(request: Request, query: DriftQuery) -> ModelDrift:
        """Whether calls differ from what each version was made of: inputs, scores and labels"""
        from shared.drift import answer

        return answer.answer(log(), request.params["model"], **asdict(query))

    @handler.route(
        "GET", MODEL + "/accuracy", id="getModelAccuracy", scope="read", query=AccuracyQuery, gives=ModelAccuracy
    )
    def get_accuracy(request: Request, query: AccuracyQuery) -> ModelAccuracy:
        """How often each version's answers are right, estimated from their scores"""
        from shared.accuracy import answer

        return answer.answer(log(), request.params["model"], **asdict(query))
