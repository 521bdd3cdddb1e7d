"""Rules about each write to the bucket, and what a broken rule is."""

from __future__ import annotations

import json
import re

from shared.uploads import states

LOG_RECORD = re.compile(r"models/[^/]+/log/\d{12}\.json")
UPLOAD_STATE = re.compile(r"models/[^/]+/uploads/[^/]+\.json")


class Broken(AssertionError):
    """A run broke a rule."""


def require(holds: bool, rule: str, *subject: object) -> None:
    if not holds:
        raise Broken(f"{rule}: " + " ".join(map(str, subject)))


class Watch:
    """Rules about each write to the bucket: records are written once, and an end state is one for good."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.ended: dict[str, tuple[str, int | None]] = {}

    def __call__(self, operation: str, key: str, body: bytes | None) -> None:
        if LOG_RECORD.fullmatch(key):
            require(
                operation == "put" and self.bodies.setdefault(key, body or b"") == body, "a record is written once", key
            )
        if UPLOAD_STATE.fullmatch(key) and body is not None:
            state = json.loads(body)
            end = (state["state"], state.get("version"))
            if key in self.ended:
                require(self.ended[key] == end, "an end state stays", key, self.ended[key], end)
            elif state["state"] in states.FINAL:
                self.ended[key] = end
