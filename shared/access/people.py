"""Whose a token is. A person is who an operator made a token for, or the subject of a JWT; every token that descends
from one of theirs, by creation or rotation, is theirs as well, since they have seen its secret.

An operator names a person (`person`), so that two tokens are one's; a token that an operator made for nobody is its own
person. The name travels among the token's ancestors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.errors import BadInput

OPERATOR = "operator"
PERSON = "person:"  # no token's id has a colon
SUBJECT = r"jwt[0-9a-f]{29}"  # of the form of a token's id, which is hexadecimal
NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


def person(name: str) -> str:
    """A person as an ancestor. Raises BadInput."""
    if not re.fullmatch(NAME, name, re.ASCII):
        raise BadInput(f"{name[:80]!r} names no person: use 1 to 64 letters, digits, '.', '_', '@' and '-'")
    return PERSON + name


def is_subject(identity: str) -> bool:
    """Whether it names the subject of a JWT (jwt/callers.py), and no token."""
    return re.fullmatch(SUBJECT, identity, re.ASCII) is not None


def of(identity: str, ancestors: Sequence[str]) -> str:
    """The person of a token, for readers: its name, or the id of the first of its tokens."""
    known = [one for one in ancestors if one not in (OPERATOR, "")]
    named = [one.removeprefix(PERSON) for one in known if one.startswith(PERSON)]
    return (named or known or [identity])[-1]
