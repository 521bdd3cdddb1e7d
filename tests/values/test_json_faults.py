"""Bodies that are no JSON: what is said of them names what is wrong, and what JSON has in its place."""

from __future__ import annotations

import re

import msgspec
import pytest

from shared import json_faults

FAULTS = [
    (b"", "it is empty"),
    (b" \r\n", "it is empty"),
    (b'{"a": NaN}', "at byte 6, NaN is none of JSON's numbers, which are finite: null stands for a gap of a table"),
    (b'{"a": [1, Infinity]}', "at byte 10, Infinity is none of JSON's numbers"),
    (b'{"a": -Infinity}', "at byte 6, -Infinity is none of JSON's numbers"),
    (b'{"a": 1e400}', "Number out of range.*a number beyond 1.8e308 is none that can be read"),
    (b'{"a": True}', "at byte 6, True is no JSON: JSON writes true"),
    (b'{"a": None}', "at byte 6, None is no JSON: JSON writes null"),
    (b"{'a': 1}", "at byte 1, ' is no JSON: JSON has text and names in double quotes"),
    (b'{"a": 1 // one\n}', "at byte 8, // is no JSON: JSON has no comments"),
    (b'{"a": "x\ny"}', r"byte 8 is a control character \(0x0a\) within text: write it as an escape"),
    (b'{"a": "\\ud800"}', r"\\ud800 is half of a character, and its other half is not behind it"),
    (b'{"a": "\\ud83d\\ude00 \\ude00 "}', r"\\ude00 is half of a character"),
    (b'{"a": "\\\\ud800 \\ud801x1234567"}', r"\\ud801 is half of a character"),
    (b'{"a": [1, 2', "it ends before its end: send all of it"),
    (b'{"a": "\\ud83d\\ude00', "it ends before its end: send all of it"),
    ('{"é": 1}'.encode("latin-1"), r"byte 2 \(0xe9\) is no UTF-8: send it in UTF-8, or declare its charset"),
    ('{"a": 1}'.encode("utf-16"), r"byte 0 \(0xff\) is no UTF-8"),
    (b'{"a": ' + b"[" * 100_000, "it has too many lists or objects within each other: make it flatter"),
    (b'{"a": 1,}', r"trailing comma in object \(byte 8\)"),
    (
        b'{"a": 1}{"a": 2}',
        r"trailing characters \(byte 9\): a body is one value; many, one on each line, are a file .jsonl",
    ),
]


@pytest.mark.parametrize(("body", "words"), FAULTS, ids=[repr(body[:20]) for body, _ in FAULTS])
def test_the_reason_says_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError, RecursionError)) as refused:
        msgspec.json.decode(body, type=dict[str, object])
    assert re.search(words, json_faults.reason(memoryview(body), refused.value))


def test_what_does_not_fit_is_said_as_its_reader_says_it() -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(b"[1]", type=dict[str, int])
    assert json_faults.reason(b"[1]", refused.value) == "Expected `object`, got `array`"
