"""Which columns a fitted model of scikit-learn takes; their categories, texts and ranges, of its first steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from amaas.convert.columns import Column, Columns
from amaas.convert.errors import NotConverted
from amaas.convert.original import TEXT

UNKNOWN = ("ignore", "infrequent_if_exist", "use_encoded_value", "warn")  # handle_unknown that is no error
REMEMBERED = ("support_vectors_", "_fit_X", "X_train_", "quantiles_")  # rows that a model keeps, or columns of such
NEAR = 1e-6  # of a variance, whose mean was rounded
WIDTH = 2.0  # deviations on both sides of a mean


def columns(model: Any) -> Columns:
    """Raises NotConverted where the model does not say."""
    first = _chain(model)[0]
    if hasattr(first, "build_analyzer"):
        return Columns([Column(TEXT, "text")], in_graph=True)
    names = [str(name) for name in getattr(model, "feature_names_in_", [])]
    count = len(names) or getattr(model, "n_features_in_", None)
    if not count:
        raise NotConverted(f"{type(first).__name__} does not say how many columns it takes: fit it on a table")
    every = [Column(name, booleans=bool(names)) for name in names or [f"x{number}" for number in range(count)]]
    dropped, by_name = set[int](), _chooses(model)
    for step, places in _beginnings(model, list(range(count))):
        by_name = by_name or places != list(range(count))
        if step == "drop":
            dropped |= set(places)
        else:
            _learn(step, [every[place] for place in places])
    used = {place for step, places in _beginnings(model, list(range(count))) if step != "drop" for place in places}
    taken = [column for place, column in enumerate(every) if place in used or place not in dropped]
    in_graph = (bool(names) and by_name) or any(not column.is_number for column in taken)
    ignored = tuple(column.name for column in every if column not in taken) if names else ()
    return Columns(taken, in_graph, ignored)


def words(model: Any) -> list[str]:
    """That vectorizers of texts know."""
    known: list[str] = []
    places = list(range(getattr(model, "n_features_in_", 1)))
    for step, _ in _beginnings(model, places):
        known += [str(word) for word in list(getattr(step, "vocabulary_", {}))[:500]]
    return known


def _chain(model: Any) -> list[Any]:
    return [step for _, step in model.steps] if hasattr(model, "steps") else [model]


def _chooses(step: Any) -> bool:
    """Whether it takes some of the columns as they come, which the graph then has to know by their names."""
    if hasattr(step, "transformer_list"):
        return any(_chooses(inner) for _, inner in step.transformer_list)
    return _chooses(_chain(step)[0]) if hasattr(step, "steps") else hasattr(step, "transformers_")


def _beginnings(step: Any, places: list[int]) -> Iterable[tuple[Any, list[int]]]:
    """The steps that see columns as they come, with the places of these; `drop` for those that are left out."""
    if hasattr(step, "steps"):
        for inner in _chain(step):
            yield from _beginnings(inner, places)
            if not hasattr(inner, "statistics_"):  # behind all but imputers, other values come
                return
    elif hasattr(step, "transformers_"):
        for _, inner, chosen in step.transformers_:
            yield from _beginnings(inner, _chosen(step, chosen, places))
    elif hasattr(step, "transformer_list"):
        for _, inner in step.transformer_list:
            yield from _beginnings(inner, places)
    else:
        yield step, places


def _chosen(step: Any, chosen: Any, places: list[int]) -> list[int]:
    """What a ColumnTransformer has for columns: names, places, a slice, truths, or one of them. Raises NotConverted."""
    names = [str(name) for name in getattr(step, "feature_names_in_", [])]
    if isinstance(chosen, slice):
        bounds = [names.index(one) if isinstance(one, str) else one for one in (chosen.start, chosen.stop)]
        last = bounds[1] + 1 if isinstance(chosen.stop, str) else bounds[1]
        return places[bounds[0] : last : chosen.step]
    if isinstance(chosen, str | int | np.integer):
        chosen = [chosen]
    if callable(chosen):
        raise NotConverted("its ColumnTransformer chooses columns by a function: name them, and fit it again")
    listed = list(chosen)
    if listed and all(isinstance(one, bool | np.bool_) for one in listed):
        return [place for place, truth in zip(places, listed, strict=True) if truth]
    return [places[names.index(str(one))] if isinstance(one, str) else places[int(one)] for one in listed]


def _learn(step: Any, found: list[Column]) -> None:
    """What a fitted step says of the columns that it sees."""
    if hasattr(step, "build_analyzer"):
        found[0].kind = "text"
        return
    for place, column in enumerate(found):
        if hasattr(step, "categories_"):
            _learn_categories(step, place, column)
        elif not isinstance(step, str):
            column.low, column.high = _range(step, place) or (column.low, column.high)
            _learn_booleans(step, place, column)
    if hasattr(step, "statistics_"):
        texts = np.asarray(step.statistics_).dtype.kind in "OU"
        for column, filler in zip(found, np.asarray(step.statistics_).tolist(), strict=True):
            column.filler = filler if isinstance(filler, str) or filler == filler else None
            column.kind = "text" if texts and column.is_number else column.kind


def _learn_booleans(step: Any, place: int, column: Column) -> None:
    """Rules out that a column was of true and false, or all else, by what a step says of its values."""
    if getattr(step, "var_", None) is not None:
        mean, variance = float(step.mean_[place]), float(step.var_[place])
        most = mean * (1 - mean)  # of 0 and 1; of values between them, it is smaller
        inside, only = 0 <= mean <= 1 and variance <= most * (1 + NEAR), variance >= most * (1 - NEAR)
    else:
        seen = _seen(step, place)
        inside, only = bool(((seen >= 0) & (seen <= 1)).all()), _is_of_two(step, seen)
    column.booleans = column.booleans and inside
    column.only_booleans = column.booleans and (only or column.only_booleans)


def _seen(step: Any, place: int) -> np.ndarray:
    """Values that a column had, or that lie between such; none where a step knows of none."""
    named = ("data_min_", "data_max_", "max_abs_", "center_", "statistics_")
    members = [np.asarray(getattr(step, name)) for name in named if getattr(step, name, None) is not None]
    members = [] if getattr(step, "strategy", None) == "constant" else members
    numbers = np.array([one[place] for one in members if one.dtype.kind == "f"], np.float64)
    ranges = [_remembered(step, place), _splits(step, place)]
    return np.concatenate([numbers[~np.isnan(numbers)], *(one for one in ranges if one is not None)])


def _is_of_two(step: Any, seen: np.ndarray) -> bool:
    """Whether values that a step remembers are 0 and 1, or trees divide them in the middle alone."""
    remembers = any(hasattr(step, name) for name in REMEMBERED)
    middle = not any(hasattr(step, name) for name in ("scale_", "statistics_"))
    return bool(seen.size) and bool(np.isin(seen, (0, 1)).all() if remembers else middle and (seen == 0.5).all())


def _learn_categories(step: Any, place: int, column: Column) -> None:
    values = [one for one in np.asarray(step.categories_[place]).tolist() if one is not None and one == one]
    kinds = {bool if isinstance(one, bool) else str if isinstance(one, str) else float for one in values}
    if len(kinds) != 1 or not all(isinstance(one, str | int | float) for one in values):
        raise NotConverted(
            f"the categories of {column.name!r} are of several types, or none: make them text, and fit it again"
        )
    column.kind, column.categories, column.booleans = "category", values, kinds == {bool}
    column.unknown = getattr(step, "handle_unknown", "error") in UNKNOWN


def _range(step: Any, place: int) -> tuple[float, float] | None:
    """Between which values a column was, as a scaler, an imputer or trees know it."""
    if hasattr(step, "data_min_"):
        return float(step.data_min_[place]), float(step.data_max_[place])
    middle = next((getattr(step, one) for one in ("mean_", "center_") if getattr(step, one, None) is not None), None)
    scale = getattr(step, "scale_", None)
    if middle is not None and scale is not None and np.ndim(scale):
        width = WIDTH * float(scale[place])
        return float(middle[place]) - width, float(middle[place]) + width
    for values in (_remembered(step, place), _splits(step, place)):
        if values is not None and values.size:
            return float(values.min()), float(values.max())
    return None


def _remembered(step: Any, place: int) -> np.ndarray | None:
    """A column's values in the rows of the training that a model keeps."""
    rows = next((getattr(step, name) for name in REMEMBERED if hasattr(step, name)), None)
    return rows[:, place].astype(np.float64) if isinstance(rows, np.ndarray) and rows.ndim == 2 else None


def _splits(step: Any, place: int) -> np.ndarray:
    """Values at which trees divide a column."""
    parts = np.ravel(np.asarray(getattr(step, "estimators_", step), dtype=object))
    found = [one.tree_.threshold[one.tree_.feature == place] for one in parts if hasattr(one, "tree_")]
    for stage in getattr(step, "_predictors", []):
        for one in stage:
            chosen = (one.nodes["feature_idx"] == place) & (one.nodes["is_leaf"] == 0)
            found.append(one.nodes["num_threshold"][chosen])
    values = np.concatenate(found) if found else np.empty(0)
    return values[np.isfinite(values)]  # infinite where gaps are divided from all else
