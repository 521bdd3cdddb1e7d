"""Which pages of other origins may read answers in a browser, and which headers of them.

There is nothing that a browser would send by itself: a call needs a token, which the page has to have. So no answer
allows credentials, and `*` opens the API to no page without one. Preflights are the gateway's: see template.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

ALL = "*"
# beside those that a page may always read, as Content-Type
EXPOSED = (
    "x-request-id",
    "x-amaas-version",
    "x-amaas-revision",
    "x-amaas-stale",
    "x-amaas-answer-id",
    "x-amaas-ended",
    "Idempotent-Replayed",
    "Inference-Header-Content-Length",
    "Retry-After",
    "Server-Timing",
    "Content-Length",
    "Content-Encoding",
)


class Origins:
    """allowed: as the parameter CorsOrigins has it: empty, `*`, or some origins, separated by commas."""

    def __init__(self, allowed: str) -> None:
        self._allowed = frozenset(filter(None, (one.strip() for one in allowed.split(","))))
        self._exposed = {"Access-Control-Expose-Headers": ", ".join(EXPOSED)}

    def add(self, headers: Mapping[str, str], origin: str | None) -> dict[str, str]:
        """An answer's headers, with those that let a page of the origin read it; without, if it is not allowed."""
        if ALL in self._allowed:
            return {**headers, **self._exposed, "Access-Control-Allow-Origin": ALL}
        if not self._allowed:
            return dict(headers)
        # what is kept by caches for one origin must not be given to another
        varies = [one for one in headers.get("Vary", "").split(", ") if one not in ("", "Origin")]
        told = {**headers, "Vary": ", ".join([*varies, "Origin"])}
        if origin is None or origin not in self._allowed:
            return told
        return {**told, **self._exposed, "Access-Control-Allow-Origin": origin}


def of_environment() -> Origins:
    return Origins(os.environ.get("CORS_ORIGINS", ""))
