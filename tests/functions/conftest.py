"""All functions of the product on one in-memory store, called with API Gateway's and S3's own events."""

from __future__ import annotations

import pytest

from shared.access.usage import Usage
from shared.config import Config
from shared.registry import catalog
from shared.registry.log import Log
from shared.serving.models import Models
from shared.storage.memory import MemoryStore


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    import functions.authorize.app
    import functions.feedback.app
    import functions.figures.app
    import functions.generate.app
    import functions.generate.calls
    import functions.inference.app
    import functions.ingest.app
    import functions.registry.app
    import functions.tokens.app
    import functions.upload.app

    made, config = MemoryStore(), Config(bucket="amaas", quota_key="standard-quota-key")
    log = Log(made, on_commit=catalog.compact_sometimes)
    models = Models(log, ttl=0, capacity=10**9)
    monkeypatch.setattr(functions.inference.app, "models", lambda: models)
    generating = Models(log, ttl=0, capacity=10**9, generates=True)
    monkeypatch.setattr(functions.generate.app, "models", lambda: generating)
    with_settings = (
        functions.feedback.app,
        functions.figures.app,
        functions.ingest.app,
        functions.tokens.app,
        functions.upload.app,
    )
    for app in (functions.authorize.app, *with_settings):
        monkeypatch.setattr(app, "config", lambda: config)
    for app in (functions.feedback.app, functions.figures.app, functions.ingest.app, functions.registry.app):
        monkeypatch.setattr(app, "log", lambda: log)
    monkeypatch.setattr(functions.generate.calls, "store", lambda: made)
    for app in (functions.authorize.app, functions.feedback.app, functions.tokens.app, functions.upload.app):
        monkeypatch.setattr(app, "store", lambda: made)
    monkeypatch.setattr(functions.authorize.app, "usage", Usage())
    return made
