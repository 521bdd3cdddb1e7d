"""How much a token may use at most: the limits that it was given, and the deployment's own for the others.

rate, burst    calls per second, and at once, of the API            held by the gateway: gateway.py
quota          calls per month                                      held by the gateway
batch_jobs     batch jobs that run at the same time                 held by markers in the bucket: slots.py
training_jobs  training jobs that have not ended                    held by markers
upload_bytes   bytes announced to be uploaded on one day (UTC),     held by markers
               of packages and inputs of batch jobs
texts          texts that are generated at the same time            held by markers: texts.py
text_tokens    tokens of text, read and generated, in a minute      held by markers
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import msgspec
from msgspec import Struct

from shared.errors import Unavailable
from shared.formats import DAMAGED

BATCH_JOBS, TRAINING_JOBS, UPLOAD_BYTES = "batch_jobs", "training_jobs", "upload_bytes"
TEXTS, TEXT_TOKENS = "texts", "text_tokens"
CALLS = ("rate", "burst", "quota")


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Numbers as above. None: the deployment's, and where that is None as well, no limit."""

    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    batch_jobs: int | None = None
    training_jobs: int | None = None
    upload_bytes: int | None = None
    texts: int | None = None
    text_tokens: int | None = None

    def over(self, defaults: Limits) -> Limits:
        """These limits, and the defaults for those that are not set."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(defaults, **own)

    @property
    def of_calls(self) -> bool:
        """Whether one that the gateway holds is set."""
        return any(getattr(self, name) is not None for name in CALLS)


class Plans(Protocol):
    """What counts calls by keys: gateway.py, or a test's own. A key is named after the token that it was made for."""

    def assign(self, key: str, own: Limits, defaults: Limits) -> None:
        """Create a key under these limits of calls. Raises Conflict where no more can be created, Unavailable."""
        ...

    def release(self, key: str) -> None:
        """Delete a key; no error where there is none. Raises Unavailable."""
        ...

    def keys(self) -> dict[str, float]:
        """All keys, with when they were created, in seconds since the epoch. Raises Unavailable."""
        ...


LIMITS = msgspec.json.Decoder(Limits)
NONE = Limits()


def encode(limits: Limits) -> str:
    """Limits as text, for the authorizer's context."""
    return msgspec.json.encode(limits).decode()


@lru_cache(maxsize=256)
def decode(text: str) -> Limits:
    """The limits that were encoded; none for an empty text. Raises Unavailable for what is no limits."""
    try:
        return LIMITS.decode(text) if text else NONE
    except DAMAGED as error:
        raise Unavailable("the token's limits were passed on in a form that this release does not know") from error


def usage_key(deployment: str, key: str) -> str:
    """The value by which the gateway knows a key. No secret: it takes keys from the authorizer, and from no caller."""
    return f"{deployment}-token-{key}"
