"""Operators that compute with 8-bit integers: pure data, for the checks of an upload and for loading.

Sources: the operators' definitions in the ONNX standard and in ONNX Runtime's ContribOperators.md.
"""

from __future__ import annotations

from typing import NamedTuple

MICROSOFT = "com.microsoft"


class Operand(NamedTuple):
    """An 8-bit factor of a product, by index of the node's inputs: the values, their zero point, their scale if any."""

    tensor: int
    zero: int
    scale: int | None = None


class Product(NamedTuple):
    """The factors of one operator. activations: None if they are floats that the operator quantizes to UINT8 itself."""

    activations: Operand | None
    weights: tuple[Operand, ...]


# Products of two 8-bit tensors: ONNX Runtime's kernels sum them in pairs of 16 bits on some processors.
PRODUCTS = {
    ("", "MatMulInteger"): Product(Operand(0, 2), (Operand(1, 3),)),
    ("", "ConvInteger"): Product(Operand(0, 2), (Operand(1, 3),)),
    ("", "QLinearMatMul"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    ("", "QLinearConv"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    (MICROSOFT, "QLinearConv"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    (MICROSOFT, "MatMulIntegerToFloat"): Product(Operand(0, 4), (Operand(1, 5, 3),)),
    (MICROSOFT, "DynamicQuantizeMatMul"): Product(None, (Operand(1, 3, 2),)),
    (MICROSOFT, "QGemm"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    (MICROSOFT, "QAttention"): Product(Operand(0, 6), (Operand(1, 7, 4),)),
    (MICROSOFT, "DynamicQuantizeLSTM"): Product(None, (Operand(1, 9, 8), Operand(2, 11, 10))),
}
# What may come to an 8-bit product: those, and what ONNX Runtime fuses or computes so by itself.
EIGHT_BIT = frozenset(name for _, name in PRODUCTS) | {"DequantizeLinear", "MatMulNBits"}
