"""`make recheck`: what an older release has let through is checked at once, by the ingest function itself."""

from __future__ import annotations

import io
import json
from typing import Any

from functions.ingest import app as ingest
from ops import recheck
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.serving.test_vouching import SOURCE, older, push


class Functions:
    """AWS Lambda's client, whose calls go to the handler."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        self.calls.append(json.loads(Payload))
        return {"Payload": io.StringIO(json.dumps(ingest.handler(self.calls[-1], None)))}


def test_it_is_called_until_nothing_is_left(store: MemoryStore) -> None:
    log = Log(store)
    older(log, "m", push(log, "m", SOURCE))
    functions, lines = Functions(), []
    assert recheck.look(functions, "ingest", lines.append)
    assert lines == ["versions checked again, as older checks accepted them: 1"]
    assert functions.calls == [{}, {}]


def test_a_call_that_fails_ends_it() -> None:
    class Broken:
        def invoke(self, **_: Any) -> dict[str, Any]:
            return {"FunctionError": "Unhandled", "Payload": io.StringIO('{"errorMessage": "the store is away"}')}

    lines: list[str] = []
    assert not recheck.look(Broken(), "ingest", lines.append, patience=0)
    assert "the store is away" in lines[0] and "every 15 minutes" in lines[0]
