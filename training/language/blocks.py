"""A matrix in 8 or 4 bits, a scale for each block of weights, as MatMulNBits and GatherBlockQuantized read it.

Scales are searched, not taken from the largest weight: of several ranges, each cut off a little more than the last,
that one is kept whose levels are nearest to the weights in the least squares, and its scale is fitted to its levels.
Where it is known how much each input counts, squares are weighted by it (as llama.cpp's "importance matrix" does).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SIZES = (16, 32, 64, 128)  # of blocks: what the kernels know
COLUMNS = 2048  # of a matrix at once: what a search holds in memory does not grow with the matrix
FACTORS = {4: (1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.75), 8: (1.0, 0.998, 0.996, 0.99)}


@dataclass(frozen=True)
class Shape:
    """How a matrix is quantized. bits: 8 or 4. block: weights of one column that share a scale.

    zeros: each block has a zero point, too, so that its range need not be as wide below zero as above.
    """

    bits: int
    block: int
    zeros: bool

    @property
    def levels(self) -> int:
        return 1 << self.bits

    def bytes_per_weight(self) -> float:
        return self.bits / 8 + 4 / self.block + (self.bits / 8 / self.block if self.zeros else 0)


@dataclass(frozen=True)
class Quantized:
    """Of columns of a matrix [inputs, columns], in `blocks` blocks of each column.

    levels: [columns, blocks, block * bits / 8] of uint8; of 4 bits, the first of two in the lower half. scales:
    [columns, blocks] of float32. zeros: [columns, blocks * bits / 8, rounded up] of uint8; None: the middle level.
    """

    levels: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray | None


def quantized(
    weights: np.ndarray, shape: Shape, importance: np.ndarray | None = None, scales: np.ndarray | None = None
) -> Iterator[Quantized]:
    """Parts of the columns, in their order. weights: [inputs, columns].

    importance: [inputs], not negative. scales: [inputs], by which rows are multiplied before.
    """
    inputs, columns = weights.shape
    blocks = -(-inputs // shape.block)
    counts = np.ones(inputs, np.float32) if importance is None else importance.astype(np.float32)
    weighed = _in_blocks(counts[None] / max(float(counts.mean()), 1e-30) + 1e-3, blocks, shape.block)
    for start in range(0, columns, COLUMNS):
        part = np.ascontiguousarray(weights[:, start : start + COLUMNS].T, np.float32)
        part = part if scales is None else part * scales
        levels, factors, zeros = _searched(_in_blocks(part, blocks, shape.block), weighed, shape)
        yield Quantized(
            _packed(levels, shape.bits),
            factors[..., 0],
            _packed(zeros[..., 0], shape.bits) if shape.zeros else None,
        )


def restored(part: Quantized, shape: Shape, inputs: int) -> np.ndarray:
    """The weights that a kernel computes with: [inputs, columns] of float32."""
    levels = _unpacked(part.levels, shape.bits).astype(np.float32)
    middle = np.full(part.scales.shape, shape.levels // 2, np.float32)
    zeros = middle if part.zeros is None else _unpacked(part.zeros, shape.bits)[:, : part.scales.shape[1]]
    weights = (levels - zeros[..., None]) * part.scales[..., None]
    return np.ascontiguousarray(weights.reshape(len(weights), -1)[:, :inputs].T)


def _in_blocks(rows: np.ndarray, blocks: int, block: int) -> np.ndarray:
    """[rows, inputs] → [rows, blocks, block], the last block filled with zeros."""
    padded = np.pad(rows, ((0, 0), (0, blocks * block - rows.shape[1]))) if blocks * block > rows.shape[1] else rows
    return padded.reshape(len(rows), blocks, block)


def _searched(weights: np.ndarray, counts: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(levels, scales, zero points) of the least weighted squared error.

    weights, levels: [rows, blocks, block]. The others: [rows, blocks, 1].
    """
    best: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    least = np.full((*weights.shape[:2], 1), np.inf, np.float32)
    for factor in FACTORS[shape.bits]:
        levels, scales, zeros = _fitted(weights, counts, _range(weights, factor, shape), shape)
        error = (counts * (weights - (levels - zeros) * scales) ** 2).sum(-1, keepdims=True)
        if best is None:
            best, least = (levels, scales, zeros), error
            continue
        better = error < least
        for kept, tried in zip(best, (levels, scales, zeros), strict=True):
            np.copyto(kept, tried, where=better)
        np.copyto(least, error, where=better)
    assert best is not None
    return best


def _range(weights: np.ndarray, factor: float, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """(scales, zero points) that bring the range of each block, times the factor, onto the levels."""
    low, high = weights.min(-1, keepdims=True), weights.max(-1, keepdims=True)
    if shape.zeros:
        low, high = np.minimum(low, 0) * factor, np.maximum(high, 0) * factor
        scales = (high - low) / (shape.levels - 1)
        scales = np.where(scales > 0, scales, 1).astype(np.float32)
        return scales, np.rint(-low / scales).clip(0, shape.levels - 1)
    # there is one level more below the middle than above: the largest weight gets it, by a scale of its sign
    largest = np.where(-low >= high, low, high) * factor
    scales = np.where(largest != 0, largest / -(shape.levels // 2), 1).astype(np.float32)
    return scales, np.full(scales.shape, shape.levels // 2, np.float32)


def _fitted(
    weights: np.ndarray, counts: np.ndarray, placed: tuple[np.ndarray, np.ndarray], shape: Shape
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest levels, and the scales that suit these best."""
    scales, zeros = placed
    levels = np.rint(weights / scales + zeros).clip(0, shape.levels - 1)
    steps = levels - zeros
    squares = (counts * steps**2).sum(-1, keepdims=True)
    fitted = (counts * steps * weights).sum(-1, keepdims=True) / np.where(squares > 0, squares, 1)
    return levels, np.where((squares > 0) & (fitted != 0), fitted, scales).astype(np.float32), zeros


def _packed(levels: np.ndarray, bits: int) -> np.ndarray:
    """The last axis in bytes, the first of two of 4 bits in the lower half."""
    numbers = levels.astype(np.uint8)
    if bits == 8:
        return numbers
    if numbers.shape[-1] % 2:
        numbers = np.pad(numbers, [(0, 0)] * (numbers.ndim - 1) + [(0, 1)])
    return numbers[..., 0::2] | (numbers[..., 1::2] << 4)


def _unpacked(numbers: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return numbers
    return np.stack([numbers & 15, numbers >> 4], -1).reshape(*numbers.shape[:-1], -1)
