"""Rules about each write to the bucket, and what a broken rule is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from shared import keys
from shared.uploads import forms

LOG_RECORD = re.compile(r"models/[^/]+/log/\d{12}\.json")
UPLOAD_STATE = re.compile(r"models/[^/]+/uploads/[^/]+\.json")


class Broken(AssertionError):
    """A run broke a rule."""


def require(holds: bool, rule: str, *subject: object) -> None:
    if not holds:
        raise Broken(f"{rule}: " + " ".join(map(str, subject)))


class Watch:
    """Rules about each write to the bucket.

    Records are written once; an end state is one for good; the catalog's index never goes back, and a marker goes only
    when the index covers it. ended, ended_at: of each upload's state, the end and its time. indexed: revisions by
    model, as the present index has them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.bodies: dict[str, bytes] = {}
        self.ended: dict[str, tuple[str, int | None]] = {}
        self.ended_at: dict[str, float] = {}
        self.indexed: dict[str, int] = {}

    def __call__(self, operation: str, key: str, body: bytes | None) -> None:
        if LOG_RECORD.fullmatch(key):
            require(
                operation == "put" and self.bodies.setdefault(key, body or b"") == body, "a record is written once", key
            )
        if UPLOAD_STATE.fullmatch(key) and body is not None:
            self._state(key, body)
        if key == keys.CATALOG and body is not None:
            self._index(body)
        if operation == "delete" and key.startswith(keys.CHANGED) and (marker := keys.parse_changed(key)):
            covered = self.indexed.get(marker[0], 0)
            require(covered >= marker[1], "a marker goes when the index covers it", key, covered)

    def _state(self, key: str, body: bytes) -> None:
        state = json.loads(body)
        end = (state.get("ending") or state["state"], state.get("version"))
        if key in self.ended:
            # a version that was registered although its upload had been given up is certain: states.update
            late = self.ended[key][0] in ("failed", "expired") and end[0] == "registered"
            require(late or self.ended[key] == end, "an end state stays", key, self.ended[key], end)
        if end[0] in forms.FINAL:
            self.ended[key] = end
            self.ended_at.setdefault(key, self.clock())

    def _index(self, body: bytes) -> None:
        present = {name: entry["revision"] for name, entry in json.loads(body)["models"].items()}
        for name, revision in self.indexed.items():
            require(present.get(name, 0) >= revision, "the index never goes back", name, revision, present.get(name))
        self.indexed = present
