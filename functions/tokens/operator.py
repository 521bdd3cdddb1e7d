"""What an operator may ask of the tokens function, by invoking it (ops/first_token.py, ops/sign_tokens.py).

So the function's role is the only one that writes and signs tokens; who may invoke it is a matter of IAM.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from msgspec import Struct

from shared.access import tokens
from shared.access.records import Seals
from shared.errors import AmaasError, BadInput
from shared.storage.base import Store

logger = logging.getLogger(__name__)


class NewToken(Struct, forbid_unknown_fields=True):
    """days: for which it is valid; omitted, as long as the deployment says."""

    name: str
    scopes: tuple[str, ...] = ("admin",)
    days: float | None = None


class Command(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One of: create a token; sign the tokens of these ids; list the tokens that cannot be used as they are."""

    create: NewToken | None = None
    sign: list[str] | None = None
    list_unusable: bool = False


def carry_out(store: Store, seals: Seals, token_days: float, command: Any) -> dict[str, Any]:
    """The answer to a command, {"error": …} for one that cannot be carried out."""
    try:
        order = msgspec.convert(command, Command)
        if order.create is not None:
            return _create(store, seals, order.create, token_days)
        if order.sign is not None:
            return {"signed": [_sign(store, seals, identity) for identity in order.sign]}
        if order.list_unusable:
            listed = tokens.list_tokens(store, Seals(seals.signer, seals.trusted))
            return {"unusable": [msgspec.to_builtins(one) for one in listed if one.problem and not one.revoked]}
        raise BadInput("the command is empty: it says create, sign or list_unusable")
    except msgspec.ValidationError as error:
        return {"error": f"the command does not fit: {error}"}
    except AmaasError as error:
        return error.body()


def _create(store: Store, seals: Seals, order: NewToken, token_days: float) -> dict[str, Any]:
    token, secret = tokens.create(
        store,
        order.name,
        order.scopes,
        expires_in_days=order.days or token_days,
        creator=tokens.Creator(id=tokens.OPERATOR),
        seals=seals,
    )
    logger.info("token created", extra={"token": token.id, "by": tokens.OPERATOR, "scopes": token.scopes})
    return {"id": token.id, "token": secret}


def _sign(store: Store, seals: Seals, identity: str) -> dict[str, Any]:
    try:
        token = tokens.sign(store, identity, seals)
    except AmaasError as error:
        return {"id": identity} | error.body()
    logger.info("token signed", extra={"token": identity, "by": tokens.OPERATOR, "scopes": token.scopes})
    return {"id": identity, "name": token.name, "scopes": token.scopes}
