"""What ONNX Runtime's kernels do not check of a node, and die of: attributes, and values that have to be constants.

bench/sweep finds them. What depends on the values of a call is in guards.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from shared.ingest import graph
from shared.ingest.verdict import Refused

HEADS, SAMPLES = 65_536, 1000
ATTENTION = frozenset({"Attention", "QAttention", "MultiHeadAttention", "GroupQueryAttention", "RotaryEmbedding"})


def check(node: Any, known: Mapping[str, Any]) -> None:
    """known: the small constants of the graph by name, without those that a call may replace. Raises Refused."""
    rule = RULES.get((graph.normal(node.domain), node.op_type))
    wrong = rule(node, known) if rule else _heads(node)
    if wrong:
        raise Refused("dies_on_values", f"{node.op_type} {node.name[:80]!r} {wrong}")


def _stft(node: Any, known: Mapping[str, Any]) -> str | None:
    for index, name in ((1, "frame_step"), (3, "frame_length")):
        used = node.input[index] if index < len(node.input) else ""
        value = known.get(used) if used else None
        if used and (value is None or not value.size or not bool((value > 0).all())):
            return f"ends the process for some values of {name}: make it a constant above 0 when the model is exported"
    return None


def _batch_dims(node: Any, known: Mapping[str, Any]) -> str | None:
    return "has batch_dims below 0; export it with 0 or more" if _integer(node, "batch_dims") < 0 else None


def _ngrams(node: Any, known: Mapping[str, Any]) -> str | None:
    """ngram_counts: where in the pool the n-grams of each length begin; each has its own entry in ngram_indexes."""
    lists = {attribute.name: attribute.ints or attribute.strings for attribute in node.attribute}
    pool = max(len(lists.get("pool_int64s", ())), len(lists.get("pool_strings", ())))
    starts = [*lists.get("ngram_counts", ()), pool]
    indexes = len(lists.get("ngram_indexes", ()))
    sizes = [max(end - start, 0) // length for length, (start, end) in enumerate(pairwise(starts), 1)]
    if sum(sizes) > indexes:
        return f"has {sum(sizes)} n-grams, and ngram_indexes only for {indexes}; export the model again"
    return None


def _dimensions(node: Any, known: Mapping[str, Any]) -> str | None:
    below = any(size < 0 for a in node.attribute if a.name == "inputdimensions" for size in a.ints)
    return "has inputdimensions below 0; export the model again" if below else None


def _samples(node: Any, known: Mapping[str, Any]) -> str | None:
    wrong = not 0 <= _integer(node, "sampling_ratio") <= SAMPLES
    return f"has a sampling_ratio above {SAMPLES:,}, or below 0; export the model again" if wrong else None


def _heads(node: Any) -> str | None:
    if node.op_type not in ATTENTION and not node.op_type.endswith("MultiHeadAttention"):
        return None
    if any(not 0 <= _integer(node, name) <= HEADS for name in ("num_heads", "kv_num_heads")):
        return f"has more than {HEADS:,} heads, or fewer than none; export the model again"
    return None


def _integer(node: Any, name: str) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), 0)


RULES = {
    ("", "STFT"): _stft,
    ("", "RoiAlign"): _samples,
    ("", "GatherND"): _batch_dims,
    ("", "TfIdfVectorizer"): _ngrams,
    ("ai.onnx.ml", "FeatureVectorizer"): _dimensions,
}


def least_pooled(node: Any) -> list[int]:
    """The smallest input of a QLinearAveragePool that has an output: a window of it, less the padding.

    Without one, its kernel for channels in the last place divides by 0; ONNX Runtime puts that in by itself.
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
