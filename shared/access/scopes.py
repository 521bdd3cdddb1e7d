"""What a token may do: scopes, each for all models or for those that match a pattern.

infer              call any model           infer:fashion-*    call models whose name matches
read               catalogue, history, uploads' states
write              upload, retire, edit, move aliases that are not protected; implies read
promote            move protected aliases, `production` above all, and approve such moves; implies read
train              start and cancel training jobs, whose results are pushed; implies read
admin              tokens, policies, deletion; implies everything
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from shared.errors import BadInput, Forbidden

SCOPES = ("infer", "read", "write", "promote", "train", "admin")
IMPLIES = {
    "infer": {"infer"},
    "read": {"read"},
    "write": {"write", "read"},
    "promote": {"promote", "read"},
    "train": {"train", "read"},
    "admin": set(SCOPES),
}


@lru_cache(maxsize=256)
def parse(scope: str) -> tuple[str, str]:
    """The name and the model pattern of a scope. Raises BadInput for one there is not."""
    name, _, pattern = scope.partition(":")
    if name not in IMPLIES or (":" in scope and not pattern):
        raise BadInput(f"{scope!r} is not a scope: use {', '.join(SCOPES)}, each alone or with ':' and a model pattern")
    return name, pattern or "*"


def allows(scopes: Sequence[str], needed: str, model: str | None = None) -> bool:
    """Whether the scopes grant `needed`; for a model where one is named, else for all or any models alike."""
    granted = [parse(scope) for scope in scopes]
    return any(needed in IMPLIES[name] and (model is None or fnmatchcase(model, pattern)) for name, pattern in granted)


def require(scopes: Sequence[str], needed: str, model: str | None = None) -> None:
    """Raises Forbidden unless the scopes grant `needed`: one name, or several with `|` between of which one will do."""
    names = needed.split("|")
    if not any(allows(scopes, name, model) for name in names):
        what = "scope " + " or ".join(map(repr, names)) + (f" for model {model!r}" if model else "")
        raise Forbidden(f"this token lacks {what}: it has {', '.join(scopes) or 'none'}; ask an admin for another")


def require_everywhere(scopes: Sequence[str], needed: str) -> None:
    """As require, but a grant that is narrowed to some models does not do."""
    if not any(needed in IMPLIES[name] and pattern == "*" for name, pattern in map(parse, scopes)):
        raise Forbidden(f"this token lacks scope {needed!r} for all models; ask an admin for one that has it")
