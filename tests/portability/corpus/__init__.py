"""Quantized graphs of every form that exporters write, and what they mean in exact integers: what portability is held
to, by the tests and by bench.portability.
"""

from __future__ import annotations

import functools

from tests.portability.corpus import exporters, microsoft, nested, qdq, qoperator, routes, sizes, weightonly
from tests.portability.corpus.graphs import Case

MODULES = (qoperator, qdq, microsoft, weightonly, nested, routes, sizes, exporters)
# One of each kernel and of each way to miss one, and two that have to stay as they are: what `make test` runs.
SHORT = (
    "QLinearMatMul 10 u8×s8 per tensor",
    "QLinearMatMul 21 u8×s8 per column",
    "QLinearMatMul 10 s8×s8 per column",
    "MatMulInteger u8×s8, zero points: tensor, weights an input",
    "QLinearConv 10 u8×s8 3x3 per channel",
    "QLinearConv 10 u8×u8 3x3 per tensor",
    "dynamic 17 f32×s8 per column",
    "QDQ MatMul 13 s8×s8 per column, no zero point",
    "QDQ Conv 13 u8×s8 3x3 per channel",
    "QAttention u8×s8 per tensor",
    "DynamicQuantizeLSTM f32×s8 per tensor",
    "weights s4 per block MatMul 21",
    "weights s8 per column MatMul 21, no zero point",
    "If with MatMulInteger, weights outside",
    "QDQ weights u8×s8 used twice",
)


@functools.cache
def cases() -> tuple[Case, ...]:
    """The same graphs, feeds included, on every run."""
    every = tuple(case for module in MODULES for case in module.cases())
    names = [case.name for case in every]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two cases have one name: {repeated}")
    return every


def short() -> list[Case]:
    """The cases of SHORT, in its order. Raises KeyError when one is gone."""
    every = {case.name: case for case in cases()}
    return [every[name] for name in SHORT]
