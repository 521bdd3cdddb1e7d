"""Checks that ONNX Runtime's kernels lack, so that they end the process: of attributes, and of constants.

bench/sweep finds such kernels. Checks of values that only a call brings are added to the model by guards.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from shared.ingest import graph
from shared.ingest.verdict import Refused

MAX_HEADS, MAX_SAMPLES = 65_536, 1000
LARGEST_FLOAT = 3.4e38
ATTENTION = frozenset({"Attention", "QAttention", "MultiHeadAttention", "GroupQueryAttention", "RotaryEmbedding"})


def check(node: Any, constants: Mapping[str, Any]) -> None:
    """constants: the small ones of the graph by name, without those that a call may replace. Raises Refused."""
    rule = RULES.get((graph.normal(node.domain), node.op_type))
    fault = _borrowed(node) if rule else None
    fault = fault or (rule(node, constants) if rule else _heads(node))
    if fault:
        raise Refused("dies_on_values", f"{node.op_type} {node.name[:80]!r} {fault}")


def _borrowed(node: Any) -> str | None:
    """In a function, an attribute may be whatever the function's caller says."""
    names = [attribute.name for attribute in node.attribute if attribute.ref_attr_name]
    return f"takes {names[0][:40]} from the caller of its function; export it as a constant" if names else None


def _stft(node: Any, constants: Mapping[str, Any]) -> str | None:
    for index, name in ((1, "frame_step"), (3, "frame_length")):
        source = node.input[index] if index < len(node.input) else ""
        value = constants.get(source) if source else None
        if source and (value is None or not value.size or not bool((value > 0).all())):
            return f"ends the process for some values of {name}: make it a constant above 0 when the model is exported"
    return None


def _batch_dims(node: Any, constants: Mapping[str, Any]) -> str | None:
    return "has batch_dims below 0; export it with 0 or more" if _integer(node, "batch_dims") < 0 else None


def _ngrams(node: Any, constants: Mapping[str, Any]) -> str | None:
    """ngram_counts: offsets in the pool where the n-grams of each length begin; each has an entry in ngram_indexes."""
    lists = {attribute.name: attribute.ints or attribute.strings for attribute in node.attribute}
    pool = max(len(lists.get("pool_int64s", ())), len(lists.get("pool_strings", ())))
    starts = [*lists.get("ngram_counts", ()), pool]
    indexes = len(lists.get("ngram_indexes", ()))
    sizes = [max(end - start, 0) // length for length, (start, end) in enumerate(pairwise(starts), 1)]
    if sum(sizes) > indexes:
        return f"has {sum(sizes)} n-grams, and ngram_indexes only for {indexes}; export the model again"
    return None


def _dimensions(node: Any, constants: Mapping[str, Any]) -> str | None:
    negative = any(size < 0 for a in node.attribute if a.name == "inputdimensions" for size in a.ints)
    return "has inputdimensions below 0; export the model again" if negative else None


def _samples(node: Any, constants: Mapping[str, Any]) -> str | None:
    outside = not 0 <= _integer(node, "sampling_ratio") <= MAX_SAMPLES
    return f"has a sampling_ratio above {MAX_SAMPLES:,}, or below 0; export the model again" if outside else None


def _normal(node: Any, constants: Mapping[str, Any]) -> str | None:
    scale = _real(node, "scale", 1.0)
    return None if scale > 0 and math.isfinite(scale) else "has a scale that is not above 0; export the model again"


def _uniform(node: Any, constants: Mapping[str, Any]) -> str | None:
    low, high = _real(node, "low", 0.0), _real(node, "high", 1.0)
    fine = math.isfinite(low) and math.isfinite(high) and low < high and high - low <= LARGEST_FLOAT
    return None if fine else "has a low that is not below high; export the model again"


def _heads(node: Any) -> str | None:
    if node.op_type not in ATTENTION and not node.op_type.endswith("MultiHeadAttention"):
        return None
    if any(not 0 <= _integer(node, name) <= MAX_HEADS for name in ("num_heads", "kv_num_heads")):
        return f"has more than {MAX_HEADS:,} heads, or a negative number of heads; export the model again"
    return None


def _real(node: Any, name: str, default: float) -> float:
    return next((float(attribute.f) for attribute in node.attribute if attribute.name == name), default)


def _integer(node: Any, name: str) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), 0)


RULES = {
    ("", "STFT"): _stft,
    ("", "RandomNormal"): _normal,
    ("", "RandomNormalLike"): _normal,
    ("", "RandomUniform"): _uniform,
    ("", "RandomUniformLike"): _uniform,
    ("", "RoiAlign"): _samples,
    ("", "GatherND"): _batch_dims,
    ("", "TfIdfVectorizer"): _ngrams,
    ("ai.onnx.ml", "FeatureVectorizer"): _dimensions,
}


def least_pooled(node: Any) -> list[int]:
    """The smallest input of a QLinearAveragePool that has an output: one window, less the padding.

    For a smaller input, its kernel for channels on the last axis divides by 0; ONNX Runtime may choose that kernel for
    any such node when it optimizes the model.
    """
    lists = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    padding = {attribute.name: attribute.s for attribute in node.attribute}.get("auto_pad", b"NOTSET")
    kernel = lists.get("kernel_shape", [])
    pads = lists.get("pads") or [0] * (2 * len(kernel))
    if padding in (b"SAME_UPPER", b"SAME_LOWER") or len(pads) != 2 * len(kernel):
        sizes = [1] * len(kernel)
    else:
        sizes = [max(1, k - pads[axis] - pads[axis + len(kernel)]) for axis, k in enumerate(kernel)]
    return [1, *sizes, 1] if _integer(node, "channels_last") else [1, 1, *sizes]
