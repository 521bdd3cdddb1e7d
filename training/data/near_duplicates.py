"""Look-alikes: items that are not equal, but all but. Equal ones are found in clean.py."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np

from training.data import features
from training.data.clean import plain
from training.errors import TrainingError
from training.options import KindName

Pairs = set[tuple[int, int]]  # the smaller index first
FIELDS, IMAGE, PIXELS = 8, 0.99, 0.99  # correlations: of thumbnails of 8 x 8 fields, and of all pixels
BANDS, SEGMENTS, SOUND, LONGER = 24, 12, 0.98, 1.05  # of a spectrum's 24 x 12 fields; ratio of lengths
SHINGLE, TEXT = 5, 0.9  # characters; Jaccard similarity
GROUPS, ROWS = 16, 4  # of MinHash: finds all but 1 of 10 million pairs that are as alike as TEXT
PEERS = 50  # of a group of texts with equal hashes, each is compared with the first so many
BLOCK = 1024


def pairs(values: np.ndarray, kind: KindName, details: dict[str, Any]) -> Pairs:
    """All pairs of look-alikes among items of one kind (as in Source). Raises TrainingError for rows of a table."""
    from threadpoolctl import threadpool_limits

    if kind == "table":
        raise TrainingError(
            "--near looks for images, texts or sounds that are all but equal, and rows of a table that differ are "
            "different: omit it (equal rows are dropped without it)"
        )
    with threadpool_limits(1):  # beside other work, threads that wait for each other take a multiple of the time
        if kind == "image":
            return _images(values)
        if kind == "text":
            return _texts(values)
        return _sounds(values, details["sample_rate"])


def close(vectors: np.ndarray, least: float) -> np.ndarray:
    """Pairs [P, 2] of rows of length 1 whose product is `least` or more.

    Every pair is looked at that can be one: sorted by their first principal component, rows that are further apart
    in it than two such vectors can be, are passed over.
    """
    _, axes = np.linalg.eigh(np.cov(vectors, rowvar=False, dtype=np.float64).reshape(2 * (vectors.shape[1],)))
    along = vectors @ axes[:, -1].astype(np.float32)
    order = np.argsort(along, kind="stable")
    along, ordered = along[order], vectors[order]
    reach = np.float32(np.sqrt(2 - 2 * least) + 1e-4)
    blocks = []
    for start in range(0, len(order), BLOCK):
        end = min(start + BLOCK, len(order))
        last = np.searchsorted(along, along[end - 1] + reach, side="right")
        rows, columns = np.nonzero(ordered[start:end] @ ordered[start:last].T >= least)
        later = columns > rows
        blocks.append(np.stack([order[start + rows[later]], order[start + columns[later]]], axis=1))
    return np.sort(np.concatenate(blocks), axis=1) if blocks else np.zeros((0, 2), np.int64)


def _images(images: np.ndarray) -> Pairs:
    """Thumbnails that correlate propose, all pixels decide: brightness, contrast and compression do not matter."""
    candidates = close(features.unit(features.thumbnails(images, FIELDS)), IMAGE)
    alike: Pairs = set()
    for part in np.array_split(candidates, 1 + len(candidates) // BLOCK):
        left, right = (features.unit(images[part[:, side]].reshape(len(part), -1)) for side in (0, 1))
        alike.update(map(tuple, part[np.einsum("nd,nd->n", left, right) >= PIXELS].tolist()))
    return alike


def _sounds(sounds: np.ndarray, rate: int) -> Pairs:
    """Coarse spectra, stretched to one length, of sounds that are about equally long."""
    prints = np.stack([_print(samples, rate) for samples in sounds]) if len(sounds) else np.zeros((0, 1), np.float32)
    candidates = close(features.unit(prints), SOUND)
    lengths = np.array([len(samples) for samples in sounds])
    ratio = lengths[candidates].max(1) / lengths[candidates].min(1) if len(candidates) else np.zeros(0)
    return set(map(tuple, candidates[ratio <= LONGER].tolist()))


def _print(samples: np.ndarray, rate: int) -> np.ndarray:
    spectrum = features.mel(samples, rate, BANDS)
    edges = np.arange(SEGMENTS + 1) * spectrum.shape[1] // SEGMENTS  # of a short sound, some are equal
    parts = [spectrum[:, start : max(end, start + 1)].mean(1) for start, end in pairwise(edges.tolist())]
    return np.concatenate(parts)


def _texts(texts: np.ndarray) -> Pairs:
    """MinHash with bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4) proposes, Jaccard decides."""
    shingles = [_shingles(plain(text).casefold()) for text in texts]
    random = np.random.default_rng(0)
    odd, plus = random.integers(2**63, size=(2, GROUPS * ROWS), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    groups: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, hashes in enumerate(shingles):
        hashed = (hashes[:, None] * odd + plus) >> np.uint64(32)
        least = hashed.min(0).reshape(GROUPS, ROWS)
        for group in range(GROUPS):
            groups[group, least[group].tobytes()].append(index)
    proposed = {
        (first, second)
        for members in groups.values()
        if len(members) > 1
        for place, second in enumerate(members)
        for first in members[: min(place, PEERS)]
    }
    return {(a, b) for a, b in proposed if _jaccard(shingles[a], shingles[b]) >= TEXT}


def _shingles(text: str) -> np.ndarray:
    """The different runs of SHINGLE characters, each as a hash; of a shorter text, itself."""
    codes = np.frombuffer(text.ljust(SHINGLE).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(codes, SHINGLE)
    mixed = np.zeros(len(windows), np.uint64)
    for column in range(SHINGLE):
        mixed = (mixed ^ windows[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


def _jaccard(left: np.ndarray, right: np.ndarray) -> float:
    both = len(np.intersect1d(left, right, assume_unique=True))
    return both / (len(left) + len(right) - both)
