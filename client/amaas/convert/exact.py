"""Scalers computed as scikit-learn does, in FP64, and rounded at their end alone.

skl2onnx's own scaler computes in FP32. Trees behind it often split at a value of the training itself: there, a rounding
puts rows of the training on the other side.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

Members = tuple[str | None, str | None]
# what is subtracted, and what divides, by the names of fitted members
SCALERS: dict[str, Members] = {
    "StandardScaler": ("mean_", "scale_"),
    "RobustScaler": ("center_", "scale_"),
    "MaxAbsScaler": (None, "scale_"),
}
ALIASES = {name: f"Exact{name}" for name in (*SCALERS, "SimpleImputer")}


def register(parts: list[Any]) -> None:
    """parts: the steps and estimators of the model that is converted next."""
    import sklearn.impute
    import sklearn.preprocessing
    from skl2onnx import update_registered_converter

    for name, members in SCALERS.items():
        kind = getattr(sklearn.preprocessing, name)
        update_registered_converter(kind, ALIASES[name], _shape_of_scaler, _scaler(members))
    inner = {id(step) for part in parts for step in _before_scalers(part)}
    shape, converter = _imputer(inner)
    update_registered_converter(sklearn.impute.SimpleImputer, ALIASES["SimpleImputer"], shape, converter)


def _before_scalers(part: Any) -> list[Any]:
    """Imputers of a pipeline whose outcome a scaler takes: in between, nothing is rounded."""
    steps = [step for _, step in getattr(part, "steps", [])]
    return [
        first
        for first, second in pairwise(steps)
        if type(first).__name__ == "SimpleImputer" and type(second).__name__ in SCALERS and _is_plain(first)
    ]


def _is_plain(imputer: Any) -> bool:
    """Whether gaps are NaN, of each column a number stands for them, and none is left out or added."""
    values = np.asarray(imputer.statistics_)
    is_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    return bool(is_nan and values.dtype.kind == "f" and not np.isnan(values).any() and not imputer.add_indicator)


def _shape_of_scaler(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([rows, operator.raw_operator.n_features_in_])


def _scaler(members: Members) -> Callable[[Any, Any, Any], None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        from onnx import TensorProto

        values = _in_doubles(scope, operator, container)
        for node, member in zip(("Sub", "Div"), members, strict=True):
            numbers = getattr(operator.raw_operator, member, None) if member else None
            if numbers is not None:
                values = _computed(scope, container, node, values, numbers)
        container.add_node("Cast", [values], [operator.outputs[0].full_name], to=TensorProto.FLOAT)

    return convert


def _imputer(inner: set[int]) -> tuple[Callable[[Any], None], Callable[[Any, Any, Any], None]]:
    """inner: those before scalers; others are converted as skl2onnx does."""
    from skl2onnx.common import _registration as registered

    name = "SklearnSimpleImputer"
    usual_shape, usual = registered.get_shape_calculator(name), registered.get_converter(name)

    def shape(operator: Any) -> None:
        from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

        if _is_of_texts(operator):
            operator.outputs[0].type = StringTensorType([None, operator.raw_operator.n_features_in_])
            return
        if id(operator.raw_operator) not in inner:
            usual_shape(operator)
            return
        rows = operator.inputs[0].get_first_dimension()
        operator.outputs[0].type = DoubleTensorType([rows, operator.raw_operator.n_features_in_])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        if _is_of_texts(operator):  # the package's columns say what stands for a gap: none comes here
            names = [one.full_name for one in operator.inputs]
            container.add_node("Concat", names, [operator.outputs[0].full_name], axis=1)
            return
        if id(operator.raw_operator) not in inner:
            usual(scope, operator, container)
            return
        values = _in_doubles(scope, operator, container)
        gaps = scope.get_unique_variable_name("gaps")
        container.add_node("IsNaN", [values], [gaps])
        known = _constant(scope, container, operator.raw_operator.statistics_)
        container.add_node("Where", [gaps, known, values], [operator.outputs[0].full_name])

    return shape, convert


def _is_of_texts(operator: Any) -> bool:
    return np.asarray(operator.raw_operator.statistics_).dtype.kind in "OU"


def _in_doubles(scope: Any, operator: Any, container: Any) -> str:
    """The operator's inputs side by side, in FP64."""
    from onnx import TensorProto

    cast = []
    for one in operator.inputs:
        cast.append(scope.get_unique_variable_name("double"))
        container.add_node("Cast", [one.full_name], [cast[-1]], to=TensorProto.DOUBLE)
    if len(cast) == 1:
        return str(cast[0])
    joined = str(scope.get_unique_variable_name("joined"))
    container.add_node("Concat", cast, [joined], axis=1)
    return joined


def _computed(scope: Any, container: Any, node: str, values: str, numbers: Any) -> str:
    result = str(scope.get_unique_variable_name("scaled"))
    container.add_node(node, [values, _constant(scope, container, numbers)], [result])
    return result


def _constant(scope: Any, container: Any, numbers: Any) -> str:
    from onnx import TensorProto

    name = str(scope.get_unique_variable_name("numbers"))
    listed = np.asarray(numbers, np.float64).ravel().tolist()
    container.add_initializer(name, TensorProto.DOUBLE, [1, len(listed)], listed)
    return name
