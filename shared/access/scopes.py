"""What a token may do: scopes, each for all models or for those that match a pattern.

infer              call any model           infer:fashion-*    call models whose name matches
read               catalog, history, states of uploads
write              upload, retire, edit, move aliases that are not protected; implies read
promote            move protected aliases, `production` above all, and approve such moves; implies read
train              start and cancel training jobs, whose results are pushed; implies read
admin              tokens, alias policies, deletion; implies everything
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
    """The name and the model pattern of a scope. Raises BadInput for an unknown scope."""
    name, _, pattern = scope.partition(":")
    if name not in IMPLIES or (":" in scope and not pattern):
        raise BadInput(f"{scope!r} is not a scope: use {', '.join(SCOPES)}, each alone or with ':' and a model pattern")
    return name, pattern or "*"


def allows(scopes: Sequence[str], needed: str, model: str | None = None) -> bool:
    """Whether the scopes grant `needed` for this model.

    model: None asks whether they grant it for at least one model, which is NOT a permission for all models: see
    require_everywhere.
    """
    granted = [parse(scope) for scope in scopes]
    return any(needed in IMPLIES[name] and (model is None or fnmatchcase(model, pattern)) for name, pattern in granted)


def require(scopes: Sequence[str], needed: str, model: str | None = None) -> None:
    """Raises Forbidden unless the scopes grant `needed`: one name, or alternatives as in "write|promote"."""
    names = needed.split("|")
    if not any(allows(scopes, name, model) for name in names):
        missing = "scope " + " or ".join(map(repr, names)) + (f" for model {model!r}" if model else "")
        raise Forbidden(f"this token lacks {missing}: it has {', '.join(scopes) or 'none'}; ask an admin for another")


def require_everywhere(scopes: Sequence[str], needed: str) -> None:
    """Raises Forbidden unless the scopes grant `needed` for all models: a model pattern is not enough."""
    if not any(needed in IMPLIES[name] and pattern == "*" for name, pattern in map(parse, scopes)):
        raise Forbidden(f"this token lacks scope {needed!r} for all models; ask an admin for one that has it")
