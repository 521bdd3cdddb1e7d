"""LightGBM's and XGBoost's estimators as steps of scikit-learn's: skl2onnx learns to convert them from onnxmltools."""

from __future__ import annotations

from typing import Any

from amaas.convert.errors import NotConverted

LIBRARIES = ("lightgbm", "xgboost")


def library(model: Any) -> str | None:
    """`lightgbm` or `xgboost`, of their models; None of others."""
    modules = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return next((name for name in LIBRARIES if name in modules), None)


def register(model: Any) -> None:
    """For those that are within a model. Raises NotConverted where onnxmltools is not installed."""
    found = {name for part in parts(model) if (name := library(part))}
    if not found:
        return
    try:
        import onnxmltools  # noqa: F401 - looked for
    except ImportError as error:
        raise NotConverted(f"there is a model of {min(found)} in it: pip install './client[boost]'") from error
    for name in sorted(found):
        {"lightgbm": _register_lightgbm, "xgboost": _register_xgboost}[name]()


def parts(model: Any) -> list[Any]:
    """The estimators in a fitted one, itself first."""
    inner = [step for _, step in getattr(model, "steps", [])]
    inner += [step for _, step, _ in getattr(model, "transformers_", []) if not isinstance(step, str)]
    inner += [step for _, step in getattr(model, "transformer_list", []) if not isinstance(step, str)]
    inner += [getattr(model, name) for name in ("estimator", "estimator_", "final_estimator_") if hasattr(model, name)]
    several = getattr(model, "estimators_", [])
    inner += [one for one in several if hasattr(one, "fit")] if isinstance(several, list) else []
    calibrated = [one.estimator for one in getattr(model, "calibrated_classifiers_", [])]
    return [model, *(part for one in (*inner, *calibrated) for part in parts(one))]


def _register_lightgbm() -> None:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(
        LGBMClassifier,
        "LightGbmLGBMClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        convert_lightgbm,
        options=options,
    )
    update_registered_converter(
        LGBMRegressor,
        "LightGbmLGBMRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        convert_lightgbm,
        options={"split": None},
    )


def _register_xgboost() -> None:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes
    from xgboost import XGBClassifier, XGBRegressor

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(
        XGBClassifier,
        "XGBoostXGBClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options=options,
    )
    update_registered_converter(
        XGBRegressor, "XGBoostXGBRegressor", shapes.calculate_linear_regressor_output_shapes, convert_xgboost
    )
