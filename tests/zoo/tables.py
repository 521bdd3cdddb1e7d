"""A scikit-learn pipeline that takes strings: which orders come back, learned from made-up rows."""

from __future__ import annotations

from typing import Any

import numpy as np

TEXTS, NUMBERS = ("country", "size"), ("price", "age")
COLUMNS = [{"name": name, "type": "text"} for name in TEXTS] + [{"name": name} for name in NUMBERS]
DESCRIBED: dict[str, Any] = {"task": "tabular", "preprocess": {"columns": COLUMNS}}


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Columns by name, of shape [count] each."""
    random = np.random.default_rng(seed)
    return {
        "country": random.choice(["Österreich", "España", "日本", "Kenya"], count).astype(object),
        "size": random.choice(["S", "M", "L", "XL"], count).astype(object),
        "price": random.uniform(5, 300, count).round(2).astype(np.float32),
        "age": random.integers(18, 90, count).astype(np.float32),
    }


def pipeline() -> Any:
    """Fitted: strings one-hot, numbers scaled, then a logistic regression with the classes `kept` and `returned`."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = rows(400)
    chance = table["price"] / 300 + (table["size"] == "XL") - (table["country"] == "日本")
    outcome = np.where(chance > 0.5, "returned", "kept")
    prepared = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore"), [0, 1]), ("numbers", StandardScaler(), [2, 3])]
    )
    return make_pipeline(prepared, LogisticRegression()).fit(matrix(table), outcome)


def matrix(table: dict[str, np.ndarray]) -> np.ndarray:
    """The columns side by side, [count, 4], as scikit-learn takes them."""
    return np.stack([table[name].astype(object) for name in (*TEXTS, *NUMBERS)], axis=1)


def files() -> dict[str, bytes]:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = [(name, StringTensorType([None, 1])) for name in TEXTS]
    types += [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    return {"model.onnx": to_onnx(pipeline(), initial_types=types).SerializeToString()}
