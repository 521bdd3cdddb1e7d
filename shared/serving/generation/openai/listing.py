"""GET /v1/models: the models that a caller may name under /v1."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.errors import NotFound
from shared.registry.log import Log
from shared.registry.state import Head
from shared.serving import describe


def all_models(log: Log, granted: Sequence[str]) -> dict[str, Any]:
    """Those that the caller may call, of any task: each route says what it takes."""
    summaries = describe.list_callable(log, granted)
    return {"object": "list", "data": [_described(one.name, one.updated_at) for one in summaries]}


def one(head: Head) -> dict[str, Any]:
    """Raises NotFound for a model that was deleted."""
    if not head.alive:
        raise NotFound(f"there is no model {head.model!r}")
    return _described(head.model, head.updated_at)


def _described(name: str, changed: str) -> dict[str, Any]:
    created = int(datetime.fromisoformat(changed).timestamp()) if changed else 0
    return {"id": name, "object": "model", "created": created, "owned_by": "amaas"}
