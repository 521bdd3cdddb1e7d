"""Models of scikit-learn, those of LightGBM and XGBoost in its pipelines among them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from amaas.convert import boost_in_pipelines, exact, failing_steps, graph, scikit_columns
from amaas.convert.columns import NONE_OF_THEM, VECTOR, Columns, Table
from amaas.convert.errors import NotConverted
from amaas.convert.original import TEXT, Original, spelled

OPSETS = {"": 18, "ai.onnx.ml": 3}


def original(model: Any) -> Original:
    """Of a classifier or a regressor, a pipeline that ends in one, or a search for one. Raises NotConverted."""
    model = getattr(model, "best_estimator_", model)
    name = type(_last(model)).__name__
    _check(model, name)
    columns = scikit_columns.columns(model)
    labels = spelled(model.classes_.tolist()) if hasattr(model, "classes_") else []
    return Original(
        name=name,
        columns=columns,
        answer=lambda table: _answers(model, columns, table),
        graph=lambda: _graph(model, columns, labels),
        labels=labels,
        words=scikit_columns.words(model),
    )


def _last(model: Any) -> Any:
    return model.steps[-1][1] if hasattr(model, "steps") else model


def _check(model: Any, name: str) -> None:
    from sklearn.base import is_classifier, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(model, "predict"):
        raise NotConverted(f"this is a {name}, which predicts nothing: save the whole fitted pipeline, with its model")
    if not (is_classifier(model) or is_regressor(model)):
        raise NotConverted(
            f"{name} is neither a classifier nor a regressor: convert it with skl2onnx, and push the .onnx file"
        )
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise NotConverted(f"{name} is not fitted: call fit, and save it again") from error
    classes = getattr(model, "classes_", None)
    if isinstance(classes, list):
        raise NotConverted(f"{name} tells several things at once: save a model for each of them")


def _answers(model: Any, columns: Columns, table: Table) -> np.ndarray:
    rows = _rows(model, columns, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(model, "classes_"):
            return _scores(model, rows)
        values = np.asarray(model.predict(rows), np.float64)
    return values.reshape(len(values), -1)


def _scores(model: Any, rows: Any) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows), np.float64)
    scores = np.asarray(model.decision_function(rows), np.float64)
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def _rows(model: Any, columns: Columns, table: Table) -> Any:
    """As the model was fitted: a data frame, an array, or texts."""
    if [column.name for column in columns.each] == [TEXT] and not hasattr(model, "feature_names_in_"):
        return list(table[TEXT])
    if hasattr(model, "feature_names_in_"):
        import pandas

        frame = pandas.DataFrame({column.name: _values(column, table) for column in columns.each})
        dropped = [name for name in model.feature_names_in_ if name not in table]
        return frame.assign(**dict.fromkeys(dropped, 0.0))[list(model.feature_names_in_)]
    kinds = {column.kind for column in columns.each}
    values = [_values(column, table) for column in columns.each]
    return np.stack([one.astype(np.float64 if kinds == {"number"} else np.object_) for one in values], axis=1)


def _values(column: Any, table: Table) -> np.ndarray:
    """Categories as they were in training: what is none of them by a value that none has."""
    values = table[column.name]
    if column.kind != "category":
        return values
    strange = NONE_OF_THEM if isinstance(column.categories[0], str) else max(column.categories) + 1
    shown = [strange if value is None else value for value in values]
    return np.array(shown, np.object_ if isinstance(column.categories[0], str) else None)


def _graph(model: Any, columns: Columns, labels: list[str]) -> Any:
    import skl2onnx

    boost_in_pipelines.register(model)
    parts = boost_in_pipelines.parts(model)
    exact.register(parts)
    for part in parts:
        if hasattr(part, "flatten_transform"):  # of votes, for what only `transform` does
            part.flatten_transform = False
    types = _types(columns)

    def converted(options: dict[Any, Any] | None) -> Any:
        return skl2onnx.convert_sklearn(model, initial_types=types, options=options, target_opset=OPSETS)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = converted({"zipmap": False} if labels else None)
        except Exception as error:
            if not (isinstance(error, NameError) and "zipmap" in str(error)):
                raise _refused(model, error) from error
            # classifiers that have scores, and no dictionaries of them
            made = converted({id(_last(model)): {"raw_scores": True}})
    graph.name_inputs(made, [name for name, _ in types])
    graph.set_locale(made)
    made = graph.with_one_output(made, len(labels))
    return graph.with_codes(made, columns)


def _refused(model: Any, error: Exception) -> NotConverted:
    """Names the step that has no conversion, which skl2onnx's own error may not."""
    last = _last(model)
    step, reason = failing_steps.first(model, OPSETS) or (last, failing_steps.shortened(error, type(last).__name__))
    name = type(step).__name__
    if step is last or step is model:
        return NotConverted(
            f"{name} has no conversion to ONNX ({reason}): train a model that skl2onnx converts, or export ONNX "
            "yourself and push that file"
        )
    return NotConverted(
        f"{name}, a part of this model, has no conversion to ONNX ({reason}): fit the model with another one in its "
        "place, do what it does before the call, or export ONNX yourself and push that file"
    )


def _types(columns: Columns) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    if not columns.in_graph:
        return [(VECTOR, FloatTensorType([None, len(columns.each)]))]
    by_kind = {"O": StringTensorType, "i": Int64TensorType, "f": FloatTensorType}
    types = []
    for column in columns.each:
        kind = {"number": "f", "text": "O"}.get(column.kind) or graph.values_of(column).dtype.kind
        types.append((column.name, by_kind[kind]([None, 1])))
    return types
