"""Format numbers of stored forms, and the rules by which these forms change from release to release.

A bucket outlives releases, and during an update, functions of two releases share it. So:

- A signature and a digest cover stored bytes, never what the running code would write instead (registry/signatures.py).
- Readers ignore unknown members.
- Each record of a model's log carries the lowest numbers that understand it, absent where they are 1, and the state
  has the highest of its records. `min_reader` above READER: this release cannot compute the model's state, and
  answers 503 for this model. `min_writer` above WRITER: it reads and serves the model, and refuses to change it, since
  it would write a state without the members that it does not know.
- A new member needs: no number, if it may be lost (a note that is not part of the state and refers to no blob);
  `min_writer`, if it is part of the state and may be ignored when serving; `min_reader` too, if ignoring it gives
  another state or version. The state that follows from old records never changes.
- All other stored forms carry `format`; absent means 1. An addition that is safe to ignore is a new member; any other
  (a new value of an enumeration included) is the next format, which older releases refuse with a clear message.
- A release reads a number before the next one writes it, so that the last release can always be deployed again.

Of the log   brought                                                           read since   written since
1            everything in release 0.1 (799c9d9)                               0.1          0.1
2            record kind `recheck` with `rechecked`                            0.2          0.2 (before these rules)
             record member `sealed`: the segment that a writer archived, so    0.2          the release after 0.2
             that readers who ignore members of versions name the same blob
3            member `release` of an alias' policy, where somebody sets one;    0.2          0.2 (opt-in; 0.1, which
             min_writer only: calls are answered without it                                 loses it, watches nothing)
"""

# no `from __future__ import annotations`: msgspec would spend 2 ms of each cold start on resolving the texts

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from shared.errors import Unavailable

Form = TypeVar("Form")
READER = 3
WRITER = 3
RELEASE_POLICY = (1, 3)
# attributes of Record that need a number above 1: min_reader, min_writer
NEEDS = {"rechecked": (2, 2), "archived": (2, 2)}
# of versions in the log: the highest that this release can serve
VERSION = 1
# of amaas.json
MANIFEST = 1

# raised by decoding invalid bytes: not JSON, not UTF-8, or nested too deeply
DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
REMEDY = "deploy that release again, or a later one"


class TooNew(Unavailable):
    """A stored object was written by a later release, in a form that this one cannot read."""

    code = "too_new"


class Damaged(Unavailable):
    """A stored object is not what it was written as: another try does not help, and others may be whole."""

    code = "damaged"


UNREADABLE = (TooNew, Damaged)  # of one stored object; an outage of the store is neither


class Numbers(Struct, frozen=True):
    """The format numbers of any stored form, which every release can read."""

    format: Any = 1
    min_reader: Any = 1


# made once, before any thread: see registry/state.py
NUMBERS = msgspec.json.Decoder(Numbers)


def needs(record: Struct) -> dict[str, int]:
    """min_reader and min_writer of a record: the lowest that understand it."""
    numbers = [(1, 1), *(needed for name, needed in NEEDS.items() if getattr(record, name) is not None)]
    if any(policy.release is not None for policy in record.policies.values()):  # type: ignore[attr-defined]  # a Record
        numbers.append(RELEASE_POLICY)
    return {"min_reader": max(reader for reader, _ in numbers), "min_writer": max(writer for _, writer in numbers)}


def too_new(what: str, number: int, highest: int) -> TooNew:
    """what: the object, as the beginning of a sentence. highest: the format that this release reads."""
    return TooNew(
        f"{what} was written by a later release, in format {number}; this release reads formats up to {highest}: "
        f"{REMEDY}"
    )


def check(body: bytes, member: str, highest: int, what: str) -> None:
    """Raises TooNew if an object that could not be decoded has a number above `highest`. member: of the number."""
    try:
        number = getattr(NUMBERS.decode(body), member)
    except DAMAGED:
        return
    if isinstance(number, int) and number > highest:
        raise too_new(what, number, highest)


def decode(decoder: msgspec.json.Decoder[Form], body: bytes, what: str) -> Form:
    """Decode a Struct whose tag is its format. what: the object, as the beginning of a sentence.

    Raises TooNew for a higher format, Damaged.
    """
    try:
        return decoder.decode(body)
    except DAMAGED as error:
        check(body, "format", decoder.type.__struct_config__.tag, what)  # type: ignore[attr-defined]  # of a Struct
        raise Damaged(f"{what} is damaged: {error}; restore an earlier version of the object") from error
