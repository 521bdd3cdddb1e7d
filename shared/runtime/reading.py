"""A decoder as a session, so that it can be behind the wall with its caches: one sequence, and several in rows."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shared.runtime import onnx
from shared.runtime.caches import Geometry
from shared.runtime.decoder import Decoder
from shared.runtime.rows import Rows
from shared.runtime.signature import Session, Signature, TensorSpec
from shared.runtime.zygotes import Decoding

FACTS = ("length", "vocabulary", "limit")  # of a decoder; limit: 0 where none is known
# Operators that round all rows of a step by what is the largest in any of them, as they stand in a graph's file
MIXING = (b"DynamicQuantizeLinear", b"DynamicQuantizeMatMul", b"DynamicQuantizeLSTM")


class Reading:
    """As signature.Session. Some of its inputs come together; what others give is then empty.

    tokens, keep: tokens to be read, [tokens], and how many of those that were read before stay, [1]. logits: those
    behind the last one, [vocabulary]; none where there are not so many to keep, as in a new process, or no tokens.
    facts: the numbers of FACTS, [3]. scores: instead of logits, Decoder.score of the tokens, of FP64.

    hold, [1]: the sequence that was read becomes this row, with caches of its own: the next one, or one that is over.
    step, [rows]: a token for each row. row_logits, [rows, vocabulary]: those behind it; none where there are not so
    many rows, as in a new process. drop, [1]: a row that is over: the last one takes its place; -1: all. rows, [1]:
    how many there are now. packing, [2]: Rows.tokens and Rows.longest; zeros where the graph takes no rows.

    Numbers are of INT64, logits of FP32.
    """

    def __init__(self, decoder: Decoder, *, mixes: bool = False) -> None:
        """mixes: see Rows."""
        self._decoder, self._rows = decoder, Rows(decoder, mixes=mixes)
        self.inputs = [TensorSpec("tokens", "INT64", [-1]), TensorSpec("keep", "INT64", [1])]
        self.optional = [TensorSpec(name, "INT64", [-1]) for name in ("hold", "step", "drop")]
        self.outputs = [TensorSpec("logits", "FP32", [-1]), TensorSpec("facts", "INT64", [len(FACTS)])]
        self.outputs += [TensorSpec("scores", "FP64", [-1]), TensorSpec("row_logits", "FP32", [-1, -1])]
        self.outputs += [TensorSpec("rows", "INT64", [1]), TensorSpec("packing", "INT64", [2])]
        self._signature = Signature(self.inputs, self.optional, self.outputs)

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Raises BadInput, TooLarge."""
        checked, decoder = self._signature.check(outputs, feeds), self._decoder
        logits, scores, keep = np.empty(0, np.float32), np.empty(0, np.float64), int(checked["keep"][0])
        if keep <= decoder.length and len(checked["tokens"]):
            decoder.rewind(keep)
            if outputs == ["scores"]:
                scores = decoder.score(checked["tokens"])
            else:
                logits = decoder.extend(checked["tokens"])
        row_logits, packing = self._run_rows(checked), (0, 0)
        if outputs is None or "packing" in outputs:
            packing = self._rows.packing()
        values: dict[str, Any] = {
            "logits": logits,
            "facts": np.array([decoder.length, decoder.vocabulary, decoder.limit or 0], np.int64),
            "scores": scores,
            "row_logits": row_logits,
            "rows": np.array([self._rows.count], np.int64),
            "packing": np.array(packing, np.int64),
        }
        return [values[name] for name in outputs or values]

    def _run_rows(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        rows = self._rows
        for row in feeds.get("hold", ()):
            rows.hold(int(row))
        for row in feeds.get("drop", ()):
            rows.drop(int(row)) if row >= 0 else rows.clear()
        tokens = feeds.get("step")
        if tokens is None or len(tokens) != rows.count or not rows.count:
            return np.empty((0, 0), np.float32)
        return rows.step(tokens)


def load(model: bytes, data: Mapping[str, mmap.mmap], decoding: Decoding, threads: int = 1) -> Reading:
    """A session of a decoder's graph, with its weights in other files. Raises Unloadable."""
    heads, width = decoding.heads, decoding.width
    geometry = None if heads is None or width is None else Geometry(heads, width)
    decoder = Decoder(onnx.open_session(model, threads, data=data), geometry, decoding.limit)
    return Reading(decoder, mixes=any(name in model for name in MIXING))


Load = Callable[[bytes, Mapping[str, mmap.mmap], Decoding, int], Session]


def load_files(path: str, data: Mapping[str, str], decoding: Decoding, threads: int = 1, load: Load = load) -> Session:
    """As `load`, from paths; the files may be removed afterwards."""
    maps = {}
    for name, place in data.items():
        with open(place, "rb") as file:
            maps[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with open(path, "rb") as file:
        return load(file.read(), maps, decoding, threads)
