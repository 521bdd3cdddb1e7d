"""Exact cleaning: what has no content, what is there twice, what is in the test set too. Look-alikes are in near.py."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np

from training.data.source import Split
from training.options import KindName

Place = tuple[str, int]  # split, index in it
Twin = Place | None


def drops(splits: dict[str, Split], kind: KindName) -> dict[Place, tuple[str, Twin]]:
    """What is to go: for each place, the reason, and the place that it equals.

    These are items without content, exact duplicates, and training items that are in the test set too.
    Empty is an image or a sound of one value, a text of white space, a row without a value. Texts are equal when they
    are after Unicode's NFC and with any white space taken as one blank. Equal items with different labels all go:
    one of them is wrong, and nobody knows which. Rows of a table are no such contradiction, two cases
    may look alike and end differently: they are equal when their targets are too.
    """
    first: dict[bytes, Place] = {}
    dropped: dict[Place, tuple[str, Twin]] = {}
    content = CONTENT[kind]
    for split in sorted(splits):  # "test" comes before "train", so leaks are taken out of the training set
        for index, value in enumerate(splits[split][0]):
            body = content(value)
            if body is None:
                dropped[split, index] = ("empty", None)
                continue
            if kind == "table":
                body += b"%d" % splits[split][1][index]
            twin = first.setdefault(hashlib.blake2b(body, digest_size=16).digest(), (split, index))
            if twin != (split, index):
                _drop_twin((split, index), twin, splits, dropped)
    return dropped


def _array(values: np.ndarray) -> bytes | None:
    return values.tobytes() if values.size and values.min() != values.max() else None


def _text(value: str) -> bytes | None:
    return plain(value).encode("utf-8", "surrogatepass") or None


def plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _row(value: dict[str, Any]) -> bytes | None:
    return json.dumps(value, sort_keys=True).encode() if any(v is not None for v in value.values()) else None


CONTENT: dict[KindName, Callable[[Any], bytes | None]] = {
    "image": _array,
    "text": _text,
    "audio": _array,
    "table": _row,
}


def _drop_twin(place: Place, twin: Place, splits: dict[str, Split], dropped: dict[Place, tuple[str, Twin]]) -> None:
    """Note why an item goes that was seen before, at twin; where their labels disagree, both go."""
    if twin[0] != place[0]:
        dropped[place] = (f"in the {twin[0]} set too", twin)
    elif twin in dropped or splits[twin[0]][1][twin[1]] != splits[place[0]][1][place[1]]:
        dropped[place] = ("duplicate with another label", twin)
        dropped.setdefault(twin, ("duplicate with another label", place))
    else:
        dropped[place] = ("duplicate", twin)


def line(place: Place, reason: str, twin: Twin, names: dict[str, list[str]]) -> dict[str, str]:
    """Of the report. names: what it calls the items of a split; else "split/index"."""
    entry = {"item": named(place, names), "reason": reason}
    return entry | {"same_as": named(twin, names)} if twin else entry


def named(place: Place, names: dict[str, list[str]]) -> str:
    split, index = place
    return names[split][index] if split in names else f"{split}/{index}"
