"""Which step of a pipeline has no conversion: each is converted alone, as libraries' errors name the class at best."""

from __future__ import annotations

from typing import Any

from amaas.convert import boost_in_pipelines

MOST = 300  # characters of a reason
UNKNOWN = "Unable to find a "  # how skl2onnx begins where it has no converter; what follows is of registering one


def first(model: Any, opsets: dict[str, int]) -> tuple[Any, str] | None:
    """The first step that is converted from no type of input, and why; None where each is."""
    parts = sorted(boost_in_pipelines.parts(model), key=lambda part: len(boost_in_pipelines.parts(part)))
    for part in parts:  # those first that have no others within them
        reason = _refused(part, opsets) if _is_fitted(part) else None
        if reason is not None:
            return part, reason
    return None


def shortened(error: Exception, kind: str) -> str:
    """kind: the name of the class that the error is about."""
    reason = " ".join(str(error).split())
    return f"skl2onnx knows no {kind}" if reason.startswith(UNKNOWN) else reason[:MOST] or type(error).__name__


def _is_fitted(part: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(part)
    except (NotFittedError, TypeError):  # templates of what was fitted are among the parts
        return False
    return True


def _refused(part: Any, opsets: dict[str, int]) -> str | None:
    """Why it is not converted; None where it is, of numbers or of texts."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    shape = [None, getattr(part, "n_features_in_", 1)]
    reasons = []
    for kind in (FloatTensorType, Int64TensorType, StringTensorType):
        try:
            convert_sklearn(part, initial_types=[("x", kind(shape))], target_opset=opsets)
        except Exception as error:  # of any kind: converters raise what they like
            reasons.append(shortened(error, type(part).__name__))
        else:
            return None
    return reasons[0]
