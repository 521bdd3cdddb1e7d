"""What a token may do: scopes, by a strict grammar, each for everything or for the names that match a pattern.

    scope    =  name [":" pattern]
    pattern  =  1 to 100 of the characters of model names, and "*" for any run of them; no "..", no "?", no "["

infer              call any model           infer:fashion-*    call models whose name matches
label              say what answers should have been: of a watched canary, that decides
read               catalog, history, states of uploads
write              upload, retire, edit, move aliases that are not protected; implies read
promote            move protected aliases, `production` above all, and approve such moves; implies read
train              start and cancel training jobs, whose results are pushed; implies read
data               read the data sets that an operator stored, in batch and training jobs; patterns match their names
admin              tokens, alias policies, deletion; implies everything, but with a pattern no data sets

This is the only module that takes scopes apart. They travel as a JSON list (encode, decode).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from shared.errors import BadInput, Forbidden, Unavailable
from shared.formats import DAMAGED

SCOPES = ("infer", "label", "read", "write", "promote", "train", "data", "admin")
IMPLIES = {
    "infer": {"infer"},
    "label": {"label"},
    "read": {"read"},
    "write": {"write", "read"},
    "promote": {"promote", "read"},
    "train": {"train", "read"},
    "data": {"data"},
    "admin": set(SCOPES) - {"data"},
}
MAX_SCOPES = 50
PATTERN = r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,99}"
ALL = "*"
LIST = msgspec.json.Decoder(list[str])


@lru_cache(maxsize=256)
def parse(scope: str) -> tuple[str, str]:
    """The name and the pattern of a scope; "*" where it has none. Raises BadInput for what does not fit."""
    name, colon, pattern = scope.partition(":")
    if name not in IMPLIES:
        raise BadInput(
            f"{scope[:120]!r} is not a scope: use {', '.join(SCOPES)}, each alone or with ':' and a pattern of names"
        )
    if colon and (not re.fullmatch(PATTERN, pattern) or ".." in pattern):
        raise BadInput(
            f"{scope[:120]!r} is not a scope: behind ':' there may be 1 to 100 letters, digits, '.', '_', '-' and '*', "
            "which stands for any of them; a list has several scopes"
        )
    return name, re.sub(r"\*+", "*", pattern) or ALL


def normalize(scopes: Sequence[str]) -> list[str]:
    """The scopes in the one form in which they are stored, without repetitions. Raises BadInput."""
    if not 0 < len(scopes) <= MAX_SCOPES:
        raise BadInput(f"a token needs 1 to {MAX_SCOPES} scopes, not {len(scopes)}: {', '.join(SCOPES)}")
    parsed = dict.fromkeys(map(parse, scopes))
    return [name if pattern == ALL else f"{name}:{pattern}" for name, pattern in parsed]


def encode(scopes: Sequence[str]) -> str:
    """Scopes as text, for the authorizer's context. Raises BadInput."""
    return msgspec.json.encode(normalize(scopes)).decode()


@lru_cache(maxsize=256)
def decode(text: str) -> tuple[str, ...]:
    """The scopes that were encoded. Raises Unavailable for any other text: the authorizer is of another release."""
    try:
        scopes = LIST.decode(text) if text else []
        return tuple(normalize(scopes)) if scopes else ()
    except (BadInput, *DAMAGED) as error:
        raise Unavailable("the token's scopes were passed on in a form that this release does not know") from error


def allows(scopes: Sequence[str], needed: str, name: str | None = None) -> bool:
    """Whether the scopes grant `needed` for the model, or for the data set where data is needed, of this name.

    name: None asks whether they grant it for at least one, which is NOT a permission for all: see require_everywhere.
    """
    if needed == "data":
        return any(_grants_data(*parse(scope), name) for scope in scopes)
    granted = [parse(scope) for scope in scopes]
    return any(needed in IMPLIES[own] and (name is None or fnmatchcase(name, pattern)) for own, pattern in granted)


def _grants_data(own: str, pattern: str, name: str | None) -> bool:
    # the pattern of an administrator names models: a data set that is called as one of them is something else
    return (own, pattern) == ("admin", ALL) or (own == "data" and (name is None or fnmatchcase(name, pattern)))


def require(scopes: Sequence[str], needed: str, model: str | None = None) -> None:
    """Raises Forbidden unless the scopes grant `needed`: one name, or alternatives as in "write|promote"."""
    names = needed.split("|")
    if not any(allows(scopes, name, model) for name in names):
        missing = "scope " + " or ".join(map(repr, names)) + (f" for model {model!r}" if model else "")
        raise Forbidden(f"this token lacks {missing}: it has {', '.join(scopes) or 'none'}; ask an admin for another")


def require_data(scopes: Sequence[str], name: str) -> None:
    """Raises Forbidden unless the scopes grant the data set, which an operator stored under this name."""
    if not allows(scopes, "data", name):
        raise Forbidden(
            f"this token may not read the data set {name[:100]!r}: it lacks the scope 'data:{name[:100]}'; "
            "ask an admin for a token that has it"
        )


def require_everywhere(scopes: Sequence[str], needed: str) -> None:
    """Raises Forbidden unless the scopes grant `needed` for all models: a pattern is not enough."""
    names = needed.split("|")
    if not any(pattern == ALL and not IMPLIES[own].isdisjoint(names) for own, pattern in map(parse, scopes)):
        raise Forbidden(f"this token lacks scope {needed!r} for all models; ask an admin for one that has it")
