"""What an operator may ask of the tokens function, by invoking it (ops/first_token.py, ops/sign_tokens.py).

So the function's role is the only one that writes and signs tokens; who may invoke it is a matter of IAM.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import asdict

from functions.tokens.contract import TokenLimits
from shared.access import limits, listing, people, tokens, unused
from shared.access.records import Seals
from shared.errors import AmaasError, BadInput
from shared.storage.base import Store

logger = logging.getLogger(__name__)


class NewToken(Struct, forbid_unknown_fields=True):
    """days: for which it is valid; omitted, as long as the deployment says. limits: as in POST /tokens.

    person: whose it is; omitted, a person's who has no other token.
    """

    name: str
    scopes: tuple[str, ...] = ("admin",)
    days: float | None = None
    limits: TokenLimits = field(default_factory=TokenLimits)
    person: str | None = None


class Command(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One of: create a token; sign the tokens of these ids; list the tokens that cannot be used as they are; delete the
    usage keys that no token needs.
    """

    create: NewToken | None = None
    sign: list[str] | None = None
    list_unusable: bool = False
    free_keys: bool = False


def carry_out(
    store: Store,
    seals: Seals,
    token_days: float,
    command: Any,
    keyring: tokens.Keyring = tokens.Keyring(),  # noqa: B008 - it is frozen
) -> dict[str, Any]:
    """The answer to a command, {"error": …} for one that cannot be carried out."""
    try:
        order = msgspec.convert(command, Command)
        if order.create is not None:
            return _create(store, seals, order.create, token_days, keyring)
        if order.sign is not None:
            return {"signed": [_sign(store, seals, identity) for identity in order.sign]}
        if order.list_unusable:
            listed = listing.everything(store, Seals(seals.signer, seals.trusted))
            return {"unusable": [msgspec.to_builtins(one) for one in listed if one.problem and not one.revoked]}
        if order.free_keys:
            return {"freed": _free_keys(store, seals, keyring)}
        raise BadInput("the command is empty: it says create, sign, list_unusable or free_keys")
    except msgspec.ValidationError as error:
        return {"error": f"the command does not fit: {error}"}
    except AmaasError as error:
        return error.body()


def _create(store: Store, seals: Seals, order: NewToken, token_days: float, keyring: tokens.Keyring) -> dict[str, Any]:
    named = () if order.person is None else (people.person(order.person),)
    token, secret = tokens.create(
        store,
        order.name,
        order.scopes,
        expires_in_days=order.days or token_days,
        creator=tokens.Creator(id=people.OPERATOR, ancestors=named),
        seals=seals,
        limits=limits.Limits(**asdict(order.limits)),
        keyring=keyring,
    )
    logger.info("token created", extra={"token": token.id, "by": people.OPERATOR, "scopes": token.scopes})
    return {"id": token.id, "token": secret}


def _free_keys(store: Store, seals: Seals, keyring: tokens.Keyring) -> list[str]:
    if keyring.plans is None:
        raise BadInput("this deployment has no usage plans, and no keys of tokens")
    freed = unused.free(store, seals, keyring.plans)
    logger.info("usage keys deleted", extra={"keys": freed, "by": people.OPERATOR})
    return freed


def _sign(store: Store, seals: Seals, identity: str) -> dict[str, Any]:
    try:
        token = tokens.sign(store, identity, seals)
    except AmaasError as error:
        return {"id": identity} | error.body()
    logger.info("token signed", extra={"token": identity, "by": people.OPERATOR, "scopes": token.scopes})
    return {"id": identity, "name": token.name, "scopes": token.scopes}
