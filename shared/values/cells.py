"""What one cell of a table is: a gap, a number, a category, text. The same of CSV, which has no types, and of JSON.

Callers say where the cell stands: a ValueError has the reason only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

DIGITS = 400  # of a whole number: more than the largest float has
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WHOLE = re.compile(rf"[+-]?[0-9]{{1,{DIGITS}}}")
TRUTHS = {"true": True, "false": False}
Number = int | float


def is_gap(value: Any, words: Collection[str] = ()) -> bool:
    """Whether a cell holds nothing: null, empty text, NaN, or a word that stands for that in this table."""
    if isinstance(value, str):
        return not value or value in words
    return value is None or value != value


def is_nan(value: Any) -> bool:
    """Whether a cell of a column of numbers holds the text NaN, as numpy and pandas write it."""
    return isinstance(value, str) and value.strip().lower() == "nan"


def number(value: Any, decimal: str = ".") -> Number:
    """A cell as a number: whole ones exactly, of any size. Raises ValueError with the reason.

    decimal: what stands before the fraction in text.
    """
    if isinstance(value, str):
        return _parsed(value, decimal)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is a number, not {shown(value)}")
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"is a number, and {value!r} is beyond all of them")
    return value


def truth(value: Any) -> int | None:
    """1 or 0 of a boolean, also as text spells it; None of all else."""
    if isinstance(value, str):
        value = TRUTHS.get(value.strip().lower())
    return int(value) if isinstance(value, bool) else None


def _parsed(text: str, decimal: str) -> Number:
    plain = text.strip()
    if decimal != ".":
        if "." in plain:
            raise ValueError(f"is a number whose decimal sign is {decimal!r}, not {shown(text)}")
        plain = plain.replace(decimal, ".", 1)
    if WHOLE.fullmatch(plain):
        return int(plain)
    if NUMBER.fullmatch(plain):
        parsed = float(plain)
        if parsed not in (float("inf"), float("-inf")):
            return parsed
        raise ValueError(f"is a number, and {shown(text)} is beyond all of them")
    hint = f": declare decimal as {','!r}" if decimal == "." and NUMBER.fullmatch(plain.replace(",", ".", 1)) else ""
    raise ValueError(f"is a number, not {shown(text)}{hint}")


def text(value: Any) -> str:
    """A cell as text; booleans as JSON spells them. Raises ValueError for what is no single value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"is text, not {shown(value)}")


def spellings(value: Any) -> list[str]:
    """How a number or a boolean may be written as text, the likeliest first."""
    if isinstance(value, bool):
        return ["true", "True", "TRUE"] if value else ["false", "False", "FALSE"]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return [str(int(value)), str(value)]
    return [str(value), f"{value}.0"] if isinstance(value, int) else [str(value)]


def look_alike(text: Any, others: Iterable[Any]) -> str:
    """The end of a message that text is none of others, where it looks like one; else empty.

    Accents are letters of their own or parts of others: macOS' names of files have them the other way.
    """
    if not isinstance(text, str) or text.isascii():
        return ""
    from unicodedata import normalize  # few calls need it

    same = normalize("NFC", text)
    twin = next((other for other in others if isinstance(other, str) and normalize("NFC", other) == same), None)
    if twin is None:
        return ""
    form = "NFC" if twin == same else "NFD" if twin == normalize("NFD", text) else "the same form"
    return f"; {shown(text)} looks like one, but its accents are other characters of Unicode: send it in {form}"


def shown(value: Any) -> str:
    shortened = repr(value)
    return shortened if len(shortened) <= 40 else f"{shortened[:40]}…"


class Categories:
    """The codes of a column's categories: numbers are compared as numbers, text as text, booleans as booleans.

    Text that is no category is one if the number or the boolean that it spells is: CSV has no types. A number is the
    category whose text spells it. Of two that are alike, the first counts.
    """

    def __init__(self, categories: Sequence[Any]) -> None:
        self._texts: dict[str, int] = {}
        self._numbers: dict[Number, int] = {}
        self._truths: dict[bool, int] = {}
        self.alike: list[tuple[Any, Any]] = []
        for code, value in enumerate(categories):
            known: dict[Any, int] = self._of(value)
            if known.setdefault(value, code) != code:
                self.alike.append((categories[known[value]], value))

    def _of(self, value: Any) -> dict[Any, int]:
        return self._truths if isinstance(value, bool) else self._texts if isinstance(value, str) else self._numbers

    def code(self, value: Any) -> int | None:
        """The code of a cell; None where it is no category. Raises ValueError for what is no single value."""
        if not isinstance(value, str | int | float):
            raise ValueError(f"is a category, not {shown(value)}")
        code = self._of(value).get(value)
        if code is not None:
            return code
        return self._of_text(value) if isinstance(value, str) else self._of_spelling(value)

    def _of_text(self, value: str) -> int | None:
        if self._truths and (truth := TRUTHS.get(value.strip().lower())) is not None:
            return self._truths.get(truth)
        if self._numbers and NUMBER.fullmatch(value.strip()):
            try:
                return self._numbers.get(number(value))
            except ValueError:  # beyond all numbers
                return None
        return None

    def _of_spelling(self, value: Number | bool) -> int | None:
        return next((self._texts[one] for one in spellings(value) if one in self._texts), None)
