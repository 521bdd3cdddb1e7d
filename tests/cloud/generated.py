"""The service that generated clients call: all its routes, on the console's world."""

from __future__ import annotations

from typing import Any

import pytest

from api.document import document
from api.routes import FUNCTIONS, handler
from tests.client.gateway import Call
from tests.console import world
from tests.console.conftest import service as console_service
from tests.functions.conftest import store

__all__ = ["console_service", "store"]  # fixtures


def operations() -> set[str]:
    return {one["operationId"] for path in document()["paths"].values() for one in path.values()}


@pytest.fixture
def anything(console_service: world.ConsoleService, monkeypatch: pytest.MonkeyPatch) -> str:
    """The service with all routes, and its address."""
    everything = [handler(name) for name in FUNCTIONS]

    def find(path: str, method: str) -> Any:
        segments = path.removesuffix("/").split("/")
        return next(
            one
            for one in everything
            for route in one.routes
            if route.method == method and route.match(segments) is not None
        )

    answer = console_service.answer

    def with_all(call: Call) -> Any:
        monkeypatch.setattr("tests.client.gateway.FUNCTIONS", [(".*", find(call.path, call.method))])
        return answer(call)

    monkeypatch.setattr(console_service, "answer", with_all)
    return console_service.api_url
