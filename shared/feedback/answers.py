"""What an answer's id says of it, so that it can be called right or wrong later without any answer being kept.

The caller keeps the id, the service nothing: which version answered, when, and of each item the class that was best and
how sure that was. Who gives labels could as well say that they are others than they are; so the ids are not signed, and
no more labels are believed of a version than it was counted to have answered (measured.py).
"""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from shared.counts.bins import SCORES
from shared.errors import BadInput

MOST_ITEMS = 256  # of an answer that can be labeled: the id goes into a header
MOST_TEXT = 2048  # characters of an id
NONE = -1  # the class of an item that was answered without one

Natural = Annotated[int, Meta(ge=0, lt=2**40)]
ClassNumber = Annotated[int, Meta(ge=NONE, lt=2**31)]


class Answer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """version, alias, since: as counts have them (Key). minute: since the epoch. nonce: tells answers apart.

    classes: of each item, the number of its best class, NONE without one. scores: the bin of its score, 0 to 19.
    """

    version: Natural
    alias: Annotated[str, Meta(max_length=32, pattern=r"^([a-z][a-z0-9-]{0,31})?$")]
    since: Natural
    minute: Natural
    nonce: Annotated[bytes, Meta(min_length=6, max_length=6)]
    classes: Annotated[list[ClassNumber], Meta(min_length=1, max_length=MOST_ITEMS)]
    scores: Annotated[list[Annotated[int, Meta(ge=0, lt=SCORES)]], Meta(min_length=1, max_length=MOST_ITEMS)]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Answer)


def class_numbers(labels: Sequence[str]) -> dict[str, int]:
    """The number of each label; of one that two classes have, the first."""
    return {name: number for number, name in reversed([*enumerate(labels)])}


def class_number(label: str, numbers: Mapping[str, int], count: int) -> int | None:
    """Of a label, as answers have it: classes without one are called by their number. count: of the labels."""
    number = numbers.get(label)
    if number is None and label.isascii() and label.isdigit() and len(label) <= 9 and int(label) >= count:
        return int(label)
    return number


def nonce() -> bytes:
    return os.urandom(6)


def encode(answer: Answer) -> str:
    return urlsafe_b64encode(_ENCODER.encode(answer)).rstrip(b"=").decode()


def decode(text: str) -> Answer:
    """Raises BadInput for what is no id that `encode` made: there is one text of each."""
    try:
        answer = _DECODER.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BadInput("this is no answer_id: send the header x-amaas-answer-id of the answer, unchanged") from error
    if len(answer.classes) != len(answer.scores) or encode(answer) != text:
        raise BadInput("this is no answer_id: send the header x-amaas-answer-id of the answer, unchanged")
    return answer
