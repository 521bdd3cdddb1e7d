"""How stored forms change from release to release: numbers, and the rules that readers and writers follow.

A bucket outlives releases, and while a deployment is updated its functions are of two of them. So:

- A signature and a digest cover stored bytes, never what the running code would write instead (registry/seal.py).
- Readers ignore members that they do not know.
- Each record of a model's log carries the lowest numbers that understand it, absent where they are 1, and the state
  has the highest of its records. `min_reader` above READER: this release cannot say what the model's state is, and
  answers 503 for this model. `min_writer` above WRITER: it reads the model, serves it, and refuses to change it, since
  it would write a state without what it does not know.
- What a new member needs: none, if it may be lost (a note that never enters the state and names no blob);
  `min_writer`, if it enters the state and may be ignored by who serves; `min_reader` too, if the state, or a version
  that it names, is another one for who ignores it. What a fold makes of old records never changes.
- All other stored forms carry `format`; absent means 1. What is safe to ignore is a new member; what is not (a new
  value of a member with few values included) is the next format, which older releases refuse in a clear sentence.
- A release reads a number before the next one writes it, so that the last release can always be deployed again.

Of the log   brought                                                           read since   written since
1            everything in release 0.1 (799c9d9)                               0.1          0.1
2            record kind `recheck` with `rechecked`                            0.2          0.2 (before these rules)
             record member `sealed`: the segment that a writer sealed, so      0.2          the release after 0.2
             that readers who ignore members of versions name the same blob
"""

# annotations are not kept as text: msgspec would take 2 ms of each cold start to read them

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from shared.errors import Unavailable

Form = TypeVar("Form")
READER = 2
WRITER = 2
# Members of a record that need more than 1: min_reader, min_writer.
NEEDS = {"rechecked": (2, 2), "sealed": (2, 2)}
# Of a version, in the log: what an older release could not serve.
VERSION = 1
# Of amaas.json.
MANIFEST = 1

# what decoding raises for bytes that are not what they should be: no JSON, no UTF-8, or nested without end
DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
REMEDY = "deploy that release again, or a later one"


class TooNew(Unavailable):
    """What is stored was written by a later release, in a form that this one cannot read."""


class Numbers(Struct, frozen=True):
    """What any release can read of a stored form."""

    format: Any = 1
    min_reader: Any = 1


# made once, before any thread: see registry/state.py
NUMBERS = msgspec.json.Decoder(Numbers)


def needs(record: Struct) -> dict[str, int]:
    """min_reader and min_writer of a record: the lowest that understand it."""
    numbers = [(1, 1), *(needed for name, needed in NEEDS.items() if getattr(record, name) is not None)]
    return {"min_reader": max(reader for reader, _ in numbers), "min_writer": max(writer for _, writer in numbers)}


def too_new(what: str, number: int, known: int) -> TooNew:
    """what: the thing, as the beginning of a sentence."""
    return TooNew(
        f"{what} was written by a later release, in format {number}; this release reads formats up to {known}: {REMEDY}"
    )


def check(body: bytes, member: str, known: int, what: str) -> None:
    """Raises TooNew where a stored form that could not be decoded has a number above the one that is known here."""
    try:
        number = getattr(NUMBERS.decode(body), member)
    except DAMAGED:
        return
    if isinstance(number, int) and number > known:
        raise too_new(what, number, known)


def decode(decoder: msgspec.json.Decoder[Form], body: bytes, what: str) -> Form:
    """Decode a Struct whose tag is its format. what: the thing, as the beginning of a sentence.

    Raises TooNew for a higher format, Unavailable for what is damaged.
    """
    try:
        return decoder.decode(body)
    except DAMAGED as error:
        check(body, "format", decoder.type.__struct_config__.tag, what)  # type: ignore[attr-defined]  # of a Struct
        raise Unavailable(f"{what} is damaged: {error}; restore an earlier version of the object") from error
