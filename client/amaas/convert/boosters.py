"""Models of LightGBM and XGBoost themselves: their files are data, and no code runs as they are read."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from amaas.convert import graph
from amaas.convert.columns import VECTOR, Column, Columns
from amaas.convert.errors import NotConverted
from amaas.convert.original import Original, both, spelled

ONE_CLASS = ("binary", "cross_entropy")  # LightGBM's objectives that tell one of two
SEVERAL = ("multiclass", "multiclassova")


def of_lightgbm_file(path: Path) -> Original:
    """Of what Booster.save_model writes. Raises NotConverted."""
    lightgbm = _library("lightgbm", path)
    try:
        booster = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise NotConverted(f"{path.name} is a damaged model of LightGBM: {error}") from error
    return of_lightgbm(booster)


def of_xgboost_file(path: Path) -> Original:
    """Of what save_model writes: JSON or UBJSON. Raises NotConverted."""
    xgboost = _library("xgboost", path)
    try:
        booster = xgboost.Booster(model_file=str(path))
    except (xgboost.core.XGBoostError, ValueError, KeyError) as error:
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        raise NotConverted(f"{path.name} is no model that this XGBoost reads: {said[:200]}") from error
    return of_xgboost(booster)


def _library(name: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise NotConverted(f"{path.name} is a model of {name}: pip install './client[boost]'") from error


def of_lightgbm(booster: Any, classes: Any = None) -> Original:
    """classes: of the estimator that it is of. Raises NotConverted."""
    text = booster.model_to_string(num_iteration=1)
    lines = dict(line.partition("=")[::2] for line in text.partition("\n\n")[0].splitlines())
    objective = lines.get("objective", "").partition(" ")[0]
    columns = Columns(_lightgbm_columns(booster, lines.get("feature_infos", "").split(" ")))
    count = 2 if objective in ONE_CLASS else booster.num_model_per_iteration() if objective in SEVERAL else 0

    def answer(table: Any) -> np.ndarray:
        rows = np.stack([columns.numbers(column, table) for column in columns.each], axis=1)
        answered = np.asarray(booster.predict(rows, pandas_categorical=None), np.float64)
        return both(answered) if count == 2 and answered.ndim == 1 else answered.reshape(len(rows), -1)

    def converted() -> Any:
        from onnxmltools.convert import convert_lightgbm

        made = convert_lightgbm(booster, initial_types=_types(columns), zipmap=False)
        return graph.with_one_output(made, count)

    return Original("LightGBM's model", columns, answer, converted, _labels(count, classes))


def _lightgbm_columns(booster: Any, infos: list[str]) -> list[Column]:
    """infos: of each column, `[least:greatest]`, or the codes of its categories with colons, or `none`."""
    names = booster.feature_name()
    unnamed = names == [f"Column_{number}" for number in range(len(names))]
    if unnamed:
        names = [f"x{number}" for number in range(len(names))]
    columns = [Column(name) for name in names]
    categorical = [place for place, info in enumerate(infos) if info[:1] not in ("[", "n", "")]
    for column, info in zip(columns, infos, strict=False):
        if info.startswith("["):
            low, _, high = info.strip("[]").partition(":")
            column.low, column.high = float(low), float(high)
        column.booleans = not unnamed and column.low >= 0 and column.high <= 1
    known = booster.pandas_categorical or []
    if known and len(known) != len(categorical):
        raise NotConverted(
            f"it was trained on {len(known)} columns with categories, and uses {len(categorical)} of them: leave the "
            "others out of training, so that it is clear which is which"
        )
    for place, values in zip(categorical, known, strict=False):
        columns[place].kind, columns[place].categories, columns[place].unknown = "category", list(values), True
    for place in categorical if not known else ():
        columns[place].low, columns[place].high = 0.0, max(map(float, infos[place].split(":")))
    return columns


def of_xgboost(booster: Any, classes: Any = None) -> Original:
    """classes: of the estimator that it is of. Raises NotConverted."""
    import xgboost

    learner = json.loads(booster.save_config())["learner"]
    form, objective = learner["gradient_booster"]["name"], learner["objective"]["name"]
    if form != "gbtree":
        raise NotConverted(f"it was trained with booster={form}, which is not converted: train it with gbtree")
    best = booster.attr("best_iteration")
    booster = booster[: int(best) + 1] if best is not None else booster.copy()
    columns = Columns(_xgboost_columns(booster))
    booster.feature_names = booster.feature_types = None  # converters know features by their numbers alone
    several = objective.startswith("multi:")
    if several or objective.startswith("rank:"):  # the same sums, in the form that is converted
        booster.set_param({"objective": "multi:softprob" if several else "reg:squarederror"})
    count = int(learner["learner_model_param"]["num_class"]) if several else 2 if objective.startswith("binary:") else 0

    def answer(table: Any) -> np.ndarray:
        rows = np.stack([columns.numbers(column, table) for column in columns.each], axis=1)
        answered = np.asarray(booster.predict(xgboost.DMatrix(rows), output_margin=several), np.float64)
        if several:
            powers = np.exp(answered - answered.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        return both(answered) if count else answered.reshape(len(rows), -1)

    def converted() -> Any:
        from onnxmltools.convert import convert_xgboost

        made = convert_xgboost(booster, initial_types=_types(columns))
        return graph.with_one_output(made, count)

    return Original("XGBoost's model", columns, answer, converted, _labels(count, classes))


def _xgboost_columns(booster: Any) -> list[Column]:
    types = booster.feature_types or []
    if "c" in types:
        raise NotConverted(
            "it was trained with enable_categorical, which ONNX has no form of: encode the categories before training"
        )
    booster.feature_types = None  # a split of booleans has a form of its own, which is not read
    count = booster.num_features()
    names = booster.feature_names or [f"x{number}" for number in range(count)]
    splits = booster.trees_to_dataframe()
    columns = []
    for number, name in enumerate(names):
        at = splits.loc[splits["Feature"].isin([name, f"f{number}"]), "Split"].astype(float)
        low, high = (float(at.min()), float(at.max())) if len(at) else (0.0, 0.0)
        booleans = types[number : number + 1] == ["i"]
        columns.append(Column(name, low=low, high=high, booleans=booleans, only_booleans=booleans))
    return columns


def _types(columns: Columns) -> list[tuple[str, Any]]:
    from onnxmltools.convert.common.data_types import FloatTensorType

    return [(VECTOR, FloatTensorType([None, len(columns.each)]))]


def _labels(count: int, classes: Any) -> list[str]:
    return spelled(classes.tolist()) if classes is not None and count else [str(number) for number in range(count)]
