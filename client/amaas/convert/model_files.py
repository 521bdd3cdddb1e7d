"""A file with a model of another library → the model as the conversion sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amaas.convert import boosters, pickles, scikit
from amaas.convert.boost_in_pipelines import library
from amaas.convert.errors import NotConverted
from amaas.convert.original import Original

XGBOOST, LIGHTGBM = (".json", ".ubj", ".xgb"), (".txt", ".lgb")


def opened(path: Path) -> tuple[Original, list[str]]:
    """The model, and what is to be said of it. Raises NotConverted."""
    if path.suffix.lower() in XGBOOST:
        return boosters.of_xgboost_file(path), []
    if path.suffix.lower() in LIGHTGBM:
        return boosters.of_lightgbm_file(path), []
    found, notes = pickles.load(path)
    return _of(found, path), notes


def _of(found: Any, path: Path) -> Original:
    name = library(found)
    if name is None and not hasattr(found, "get_params"):
        raise NotConverted(
            f"{path.name} holds a {type(found).__name__}, and no model of scikit-learn, LightGBM or XGBoost: save the "
            "fitted model alone, with joblib.dump(model, path)"
        )
    if name is None:
        return scikit.original(found)
    classes = getattr(found, "classes_", None)
    try:
        booster = _booster(found, name)
    except Exception as error:
        raise NotConverted(f"{path.name} holds a {type(found).__name__} that is not fitted: call fit first") from error
    return boosters.of_lightgbm(booster, classes) if name == "lightgbm" else boosters.of_xgboost(booster, classes)


def _booster(found: Any, name: str) -> Any:
    if name == "lightgbm":
        return getattr(found, "booster_", found)
    return found.get_booster() if hasattr(found, "get_booster") else found
