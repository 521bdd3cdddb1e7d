"""What one value becomes in each datatype, or that it is refused: the table that the tests of every door read."""

from __future__ import annotations

import math
from typing import Any

REFUSED = object()
INF = math.inf

# datatype, a number as JSON has it, the element that the model gets
NUMBERS: list[tuple[str, Any, Any]] = [
    ("INT64", 5, 5),
    ("INT64", 5.0, 5),
    ("INT64", -0.0, 0),
    ("INT64", 1.7, REFUSED),
    ("INT64", 2**53 + 1, 2**53 + 1),
    ("INT64", float(2**53), REFUSED),
    ("INT64", 2**63 - 1, 2**63 - 1),
    ("INT64", -(2**63), -(2**63)),
    ("INT64", 2**63, REFUSED),
    ("INT64", 1e19, REFUSED),
    ("INT64", 10**40, REFUSED),
    ("UINT64", 2**64 - 1, 2**64 - 1),
    ("UINT64", 2**64, REFUSED),
    ("UINT64", -1, REFUSED),
    ("INT32", 3_000_000_000, REFUSED),
    ("INT32", -(2**31), -(2**31)),
    ("INT16", 32_768, REFUSED),
    ("UINT16", 65_535, 65_535),
    ("INT8", -129, REFUSED),
    ("INT8", -128, -128),
    ("UINT8", 300, REFUSED),
    ("UINT8", -1, REFUSED),
    ("UINT8", 255.0, 255),
    ("UINT32", 2**32, REFUSED),
    ("FP64", 2**53, float(2**53)),
    ("FP64", 0.1, 0.1),
    ("FP64", 10**309, REFUSED),
    ("FP32", 2**70, float(2**70)),
    ("FP32", 2**24 + 1, float(2**24)),
    ("FP32", 1e-400, 0.0),
    ("FP32", 1e300, REFUSED),
    ("FP32", 3.5e38, REFUSED),
    ("FP32", -3.5e38, REFUSED),
    ("FP16", 70_000, REFUSED),
    ("FP16", 65_504, 65_504.0),
    ("BF16", 1e39, REFUSED),
    ("BF16", 1.5, 1.5),
]
# what no datatype of numbers takes, in JSON
NO_NUMBERS: list[Any] = [True, False, "1", "a", "", None, {"a": 1}]
# text of a CSV's cell, as the number that it is
TEXTS: list[tuple[str, Any]] = [
    ("5", 5),
    (" 5 ", 5),
    ("+5", 5),
    ("-5", -5),
    ("05", 5),
    ("5.", 5.0),
    (".5", 0.5),
    ("5e0", 5.0),
    ("1E-3", 0.001),
    ("1e-400", 0.0),
    ("9007199254740993", 2**53 + 1),
    ("1_0", REFUSED),
    ("١", REFUSED),
    ("0x10", REFUSED),
    ("1e400", REFUSED),
    ("inf", REFUSED),
    ("-Infinity", REFUSED),
    ("1,5", REFUSED),
    ("1 000", REFUSED),
    ("true", REFUSED),
    ("NA", REFUSED),
    ("?", REFUSED),
    ("null", REFUSED),
    ("--5", REFUSED),
    ("5-", REFUSED),
]
