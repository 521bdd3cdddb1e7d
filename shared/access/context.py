"""What the authorizer says of a caller to the functions: the gateway passes on texts only, so lists are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from shared.access import limits as limit_rules
from shared.access import scopes
from shared.access.limits import NONE, Limits
from shared.errors import Unavailable
from shared.plain_text import is_plain_text

if TYPE_CHECKING:  # inference, whose cold start callers wait for, reads contexts and no tokens
    from shared.access.records import Token

IDS = msgspec.json.Decoder(tuple[str, ...])


def encode(token: Token, defaults: Limits = NONE) -> dict[str, str]:
    """defaults: the deployment's limits. Raises BadInput for scopes that do not fit."""
    return {
        "scope_list": scopes.encode(token.scopes),
        # for functions of release 0.1, side by side with this one while a stack is updated; the grammar has no blanks
        "scopes": " ".join(scopes.normalize(token.scopes)),
        "name": "".join(one if is_plain_text(one) else "\N{REPLACEMENT CHARACTER}" for one in token.name),
        "ancestors": msgspec.json.encode(token.ancestors).decode(),
        "replaces": msgspec.json.encode(token.replaces).decode(),
        "limits": limit_rules.encode(token.limits.over(defaults)),
    }


def limits(authorizer: Mapping[str, Any]) -> Limits:
    """The caller's limits. Raises Unavailable."""
    return limit_rules.decode(authorizer.get("limits", ""))


def granted(authorizer: Mapping[str, Any]) -> tuple[str, ...]:
    """The caller's scopes. Raises Unavailable for a context of another release."""
    if "scopes" in authorizer and "scope_list" not in authorizer:
        # of release 0.1: words, that are not taken apart here
        raise Unavailable("the deployment is being updated: try again in some seconds")
    return scopes.decode(authorizer.get("scope_list", ""))


def ids(authorizer: Mapping[str, Any], member: str) -> tuple[str, ...]:
    """The ids in one of the lists `ancestors` and `replaces`."""
    text = authorizer.get(member)
    return IDS.decode(text) if text else ()
