"""Token ids that a caller sends in the place of a text: numbers in the vocabulary of the model's own tokenizer.

They are taken as they are: nothing is added, as the caller's tokenizer has done so. Those of another vocabulary, as
OpenAI's, mean other words here, which nobody can notice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.errors import BadInput, TooLarge
from shared.runtime.arrays import DTYPES
from shared.serving.inputs import texts
from shared.serving.loaded import Loaded

VOCABULARY = "vocabulary"  # as runtime/tokens.py says it, which only a runner imports
MOST = 16_384  # of one input where neither package nor model says how many


def is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)


def feeds(loaded: Loaded, rows: list[list[int]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The model's inputs for rows of ids, of shape [N, tokens] each, and which of them are no padding.

    Raises BadInput, TooLarge.
    """
    plan = texts.plan_of(loaded)
    declared = {tensor.name: tensor for tensor in loaded.manifest.inputs}
    if plan.tokenizer is None or plan.ids not in declared:
        raise BadInput(f"model {loaded.name!r} takes no token ids: send texts")
    fixed = texts.cutting(plan, declared[plan.ids]).fixed
    _require_length(rows, fixed or plan.max_length or MOST)
    _require_range(loaded, rows)
    width = fixed or max(len(row) for row in rows)
    ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int64)
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows], np.int64)
    places = np.broadcast_to(np.arange(width), ids.shape)
    values = {plan.ids: ids, plan.mask: mask, plan.types: np.zeros_like(ids), texts.POSITIONS: places}
    unknown = sorted(declared.keys() - values.keys())
    if unknown:
        raise BadInput(f"the model's input {unknown[0]!r} is none that token ids give: send texts")
    return {
        name: np.ascontiguousarray(values[name], DTYPES[tensor.datatype]) for name, tensor in declared.items()
    }, mask


def _require_length(rows: list[list[int]], most: int) -> None:
    for number, row in enumerate(rows):
        if len(row) > most:
            raise TooLarge(f"input {number} has {len(row):,} token ids, more than the model's {most:,}: send fewer")


def _require_range(loaded: Loaded, rows: list[list[int]]) -> None:
    size = next(one.shape[0] for one in texts.load_tokenizer(loaded).optional if one.name == VOCABULARY)
    for number, row in enumerate(rows):
        for one in row:
            if not 0 <= one < size:
                raise BadInput(
                    f"input {number} has the token id {one}, and the model's own vocabulary has 0 to {size - 1}: ids "
                    "of another tokenizer cannot be read here; send texts (LangChain: check_embedding_ctx_length=False)"
                )
