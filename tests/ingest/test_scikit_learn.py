"""scikit-learn pipelines, converted by skl2onnx, pass the checks and give scores and labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.runtime.onnx import load
from tests.ingest.conftest import Gate

RNG = np.random.default_rng(5)


def iris() -> tuple[Any, np.ndarray]:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_iris()
    names = np.array(data.target_names)[data.target]
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(data.data, names), data.data


def test_scikit_learn_pipeline_gives_scores_and_labels(gate: Gate) -> None:
    from skl2onnx import to_onnx

    pipeline, rows = iris()
    source = to_onnx(pipeline, rows[:1].astype(np.float32)).SerializeToString()
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert verdict.labels == ["setosa", "versicolor", "virginica"]
    described = {output["name"]: output for output in verdict.outputs}
    assert described["output_probability"]["shape"][-1] == 3
    assert described["output_probability"]["datatype"] == "FP32"
    assert any("ZipMap" in step for step in verdict.optimization["normalized"])
    assert verdict.optimized is not None
    label, scores = load(verdict.optimized).run(None, {"X": rows.astype(np.float32)})
    assert label.tolist() == pipeline.predict(rows).tolist()
    np.testing.assert_allclose(scores, pipeline.predict_proba(rows), atol=1e-4)
    again = gate(verdict.optimized)
    assert again.accepted and again.optimized in (None, verdict.optimized)


def test_scikit_learn_trees_with_whole_number_classes(gate: Gate) -> None:
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    data = load_iris()
    forest = RandomForestClassifier(n_estimators=10, random_state=0).fit(data.data, data.target)
    verdict = gate(to_onnx(forest, data.data[:1].astype(np.float32)).SerializeToString())
    assert verdict.accepted, verdict.reason
    assert verdict.labels == ["0", "1", "2"]
    assert verdict.optimized is not None
    scores = load(verdict.optimized).run(["output_probability"], {"X": data.data.astype(np.float32)})[0]
    np.testing.assert_allclose(scores, forest.predict_proba(data.data), atol=1e-4)


def test_scikit_learn_text(gate: Gate) -> None:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["good fine nice", "bad awful poor", "nice good", "poor bad"]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    source = to_onnx(pipeline, initial_types=[("text", StringTensorType([None]))]).SerializeToString()
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert verdict.inputs == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert any("locale" in step for step in verdict.optimization["normalized"])
    assert verdict.optimized is not None
    label = load(verdict.optimized).run(["output_label"], {"text": np.array(texts, object)})[0]
    assert label.tolist() == [1, 0, 1, 0]
