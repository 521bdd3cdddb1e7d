"""What a decoder multiplies its matrices with, on a text: measured once, on the float model.

Kernels that round activations to 8 bits have one scale for each block of them, so that one large value costs its
neighbors their bits. From the sizes of activations follow *scales* (SmoothQuant, Xiao et al. 2022): activations are
divided by sqrt(activation / weight) of each input, and the matrix is multiplied by it, which changes nothing in floats;
and how much the squared error of each row counts.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from shared.errors import AmaasError
from shared.runtime import layout
from shared.runtime import onnx as runtime
from shared.runtime.arrays import DTYPES
from shared.runtime.caches import BRANCH, IDS, LOGITS, MASK, POSITIONS, Geometry, layout_of
from training.errors import TrainingError
from training.language.source import Matrix, Source

LEAST, MOST = 1 / 16, 16.0  # of scales: beyond these, a weight's own rounding would grow
TINY = 1e-6
SQUARES = "mean_squares."


def squares(source: Source, tokens: Sequence[int], geometry: Geometry | None) -> dict[str, np.ndarray]:
    """Mean squares of what each matrix is multiplied with, [inputs], by the matrix' name.

    Those of matrices within branches are left out. Raises TrainingError for a graph that cannot run.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    values: dict[str, str] = {}
    for matrix in source.matrices:
        graph, node = source.places[[*matrix.products, *matrix.tables][0]]
        if matrix.products and graph is source.model.graph:
            values[matrix.name] = node.input[0]
            if (output := SQUARES + node.input[0]) not in {one.name for one in model.graph.output}:
                _observe(model.graph, node.input[0], output, matrix.shape[0], len(tokens))
    if not values:
        return {}
    outputs = sorted({SQUARES + value for value in values.values()})
    results = _run(model, source.path, tokens, geometry, outputs)
    return {name: results[SQUARES + value].reshape(-1) for name, value in values.items()}


def logits(path: Path, tokens: Sequence[int], geometry: Geometry | None) -> np.ndarray:
    """Of a decoder's file, behind each of the tokens: [tokens, vocabulary]. Raises TrainingError."""
    values = _run(onnx.load(path, load_external_data=False), path, tokens, geometry, [LOGITS])[LOGITS]
    return values.reshape(-1, values.shape[-1])


def scales(source: Source, measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """[inputs] by the matrix' name: the same for all matrices that are multiplied with the same values."""
    groups: dict[str, list[Matrix]] = {}
    for matrix in source.matrices:
        if matrix.name in measured:  # else a table alone, or within a branch
            groups.setdefault(source.places[matrix.products[0]][1].input[0], []).append(matrix)
    found = {}
    for matrices in groups.values():
        weights = np.max([_root_mean_square(source.columns(matrix)) for matrix in matrices], axis=0)
        factors = np.sqrt(np.sqrt(np.maximum(measured[matrices[0].name], TINY**2)) / np.maximum(weights, TINY))
        factors = (factors / np.exp(np.log(factors).mean())).clip(LEAST, MOST).astype(np.float32)
        for matrix in matrices:
            if len(matrix.products) == 1:  # of several, each would be divided by scales of its own
                found[matrix.name] = factors
    return found


def _root_mean_square(weights: np.ndarray, part: int = 256) -> np.ndarray:
    """Of each row of [inputs, columns]."""
    parts = [weights[start : start + part].astype(np.float32) for start in range(0, len(weights), part)]
    return np.concatenate([np.sqrt((rows**2).mean(1)) for rows in parts])


def _observe(graph: onnx.GraphProto, value: str, output: str, inputs: int, tokens: int) -> None:
    """Add an output, [1, inputs]: in operators that all opsets have alike."""
    shape = onnx.numpy_helper.from_array(np.array([tokens, inputs], np.int64), f"{output}.shape")
    ones = onnx.numpy_helper.from_array(np.full((1, tokens), 1 / tokens, np.float32), f"{output}.ones")
    graph.initializer.extend([shape, ones])
    graph.node.extend(
        [
            helper.make_node("Cast", [value], [f"{output}.float"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", [f"{output}.float", shape.name], [f"{output}.rows"]),
            helper.make_node("Mul", [f"{output}.rows"] * 2, [f"{output}.squares"]),
            helper.make_node("MatMul", [ones.name, f"{output}.squares"], [output]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, inputs]))


def _run(
    model: onnx.ModelProto, path: Path, tokens: Sequence[int], geometry: Geometry | None, outputs: list[str]
) -> dict[str, np.ndarray]:
    body = model.SerializeToString()
    try:
        locations = {reference.location for reference in layout.references(body)}
        session = runtime.open_session(body, data={name: _mapped(path.parent / name) for name in locations})
        given = [one for one in session.get_outputs() if not one.name.startswith(SQUARES)]
        feeds = _feeds(session.get_inputs(), given, tokens, geometry)
        return dict(zip(outputs, session.run(outputs, feeds), strict=True))
    except AmaasError as error:
        raise TrainingError(f"{path}: {error}") from error
    except Exception as error:  # ONNX Runtime's own share no base class
        raise TrainingError(f"{path} cannot run ({str(error)[:300]}): export the model again") from error


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _feeds(inputs: Any, outputs: Any, tokens: Sequence[int], geometry: Geometry | None) -> dict[str, np.ndarray]:
    form = layout_of(inputs, outputs, geometry)
    count = len(tokens)
    values: dict[str, Any] = {IDS: [tokens], MASK: np.ones((1, count)), POSITIONS: [range(count)], BRANCH: [False]}
    if form.keep:
        values[form.keep] = 1
    feeds = {name: np.array(values[name], DTYPES[datatype]) for name, datatype in form.integers.items()}
    return feeds | {cache.past: np.zeros(cache.dimensions(1, 0), DTYPES[cache.datatype]) for cache in form.caches}
