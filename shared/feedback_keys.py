"""Keys of labels that were given to answers, always from validated names. All of them expire.

feedback/raw/{model}/{day}/{id}   labels that one call gave; day: of the answers, in days since the epoch
feedback/days/{model}/{day}       the labels of a model's answers of one day
"""

from __future__ import annotations

import re

from shared.keys import ID, MODEL, model_name

RAW, DAYS = "feedback/raw/", "feedback/days/"


def of_model(kind: str, model: str) -> str:
    """The beginning of a model's keys. kind: RAW or DAYS."""
    return f"{kind}{model_name(model)}/"


def raw(model: str, day: int, identity: str) -> str:
    """identity: as clock.py makes them."""
    return f"{of_model(RAW, model)}{day:06d}/{identity}"


def parse_raw(key: str) -> tuple[str, int] | None:
    """The model and day that a raw object's key names; None for any other object there."""
    named = re.fullmatch(RAW + rf"({MODEL})/(\d{{6}})/{ID}", key, re.ASCII)
    return (named[1], int(named[2])) if named else None


def of_day(model: str, day: int) -> str:
    return f"{of_model(DAYS, model)}{day:06d}"
