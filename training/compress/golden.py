"""The golden set of what a step made: its own answers, with a tolerance that a broken model does not pass.

Portable forms differ between processors by the order of float sums, and by a step of rounding where that falls on an
edge. That is what is allowed. A model whose answers depend on more than that has no golden set that checks anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training import measure
from training.compress.steps import Step
from training.errors import TrainingError
from training.package import Arrays

RTOL, ATOL = 1e-3, 1e-4
LOOSEST = 1e-2  # a relative tolerance that is taken over from the parent
SHARE = 0.1  # of the outputs' standard deviation, beyond which a tolerance checks nothing


def golden(
    step: Step, inputs: Arrays, after: Arrays, variation: float, declared: dict[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """The arrays of golden.npz, and its entry in amaas.json. The rest as for tolerance."""
    atol, rtol = tolerance(step, after, variation, declared)
    arrays = {f"input.{name}": values for name, values in inputs.items()}
    return arrays | {f"output.{n}": v for n, v in after.items()}, {"file": "golden.npz", "rtol": rtol, "atol": atol}


def steadiness(step: Step, body: bytes, inputs: Arrays, after: Arrays) -> float:
    """The largest difference of an answer between optimization levels and sizes of a batch."""
    # the gate replays all rows at once; one by one, dynamic scales are others, which the lineage tells
    batches = (measure.BATCH,) if step.per_batch else (measure.BATCH, 1)
    return measure.steadiness(body, inputs, after, batches)


def tolerance(step: Step, after: Arrays, variation: float, declared: dict[str, Any]) -> tuple[float, float]:
    """atol, rtol: twice the variation here, the rounding of the step, or the parent's; at most SHARE of the spread.

    after: what the model answers. variation: as `steadiness` gives it. declared: the parent's entry. Raises
    TrainingError where the answers depend on batch or optimization by more than SHARE.
    """
    floats = [values.astype(np.float64) for values in after.values() if values.dtype.kind == "f" and values.size]
    rtol = max(min(float(declared.get("rtol", RTOL)), LOOSEST), RTOL)
    spread = max((float(values.std()) for values in floats), default=0.0)
    if not spread:  # whole numbers, or one value throughout: nothing to take a share of
        return ATOL, rtol
    most = SHARE * spread
    if 2 * variation > most:
        raise TrainingError(
            f"{step.name}: the answers differ by {variation:.3g} between optimization levels or batch sizes, "
            f"{variation / spread:.0%} of the outputs' standard deviation: a golden set that allows that would check "
            "nothing, and another processor would answer otherwise. Try another step (fp16, weight8)"
        )
    rounding = step.rounding * max(float(np.abs(values).max()) for values in floats)
    wide = max(2 * variation, rounding, float(declared.get("atol", ATOL)), ATOL)
    return float(f"{min(wide, most):.2g}"), rtol
