"""Proofs of the gate: changed models, and models that others have exported."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from bench.trust.proof import LIMIT, Outcome, replaced
from shared.ingest import outcome, supervisor
from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Verdict
from shared.runtime import onnx as runtime
from tests.fuzz import models

EXPORTED = ("pytorch-converted", "pytorch-operator", "simple", "light", "node")
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


def changed_models(count: int, seed: int) -> Outcome:
    seen = models.hunt(count, seed, over=LIMIT.over)
    codes = ", ".join(f"{code} {number:,}" for code, number in seen.outcomes.most_common())
    figures = {
        "verdicts": seen.models,
        "accepted": seen.outcomes["accepted"],
        "of these answered": seen.served["answered"],
    }
    figures |= {"checked by an executed worker, too": seen.fresh, "longest check (s)": seen.longest, "codes": codes}
    return Outcome(seen.models, figures, seen.finds)


def everything_is_accepted(seed: int) -> Outcome:
    """A gate that lets through what it should refuse: something does not answer then."""

    def gate(*arguments: object) -> Verdict:
        return msgspec.structs.replace(check_model(*arguments), accepted=True)  # type: ignore[arg-type]

    seen = models.hunt(60, seed, gate)
    return Outcome(seen.models, failures=seen.finds)


# ---- models that others exported, and that have to pass


def benign(count: int, seed: int) -> Outcome:
    """Each passes, and what is served answers what ONNX Runtime answers for the uploaded file."""
    outcome, unable = Outcome(0), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for name, body, feeds in _exported():
            if outcome.n == count:
                break
            expected = _direct(body, feeds)
            if expected is None:
                unable += 1
                continue
            outcome.n += 1
            path.write_bytes(body)
            verdict = check_model({"model.onnx": path}, None)
            if not verdict.accepted:
                outcome.failures.append(f"{name}: {verdict.code}: {verdict.reason[:160]}")
            elif not _same(expected, _direct(verdict.optimized or body, feeds)):
                outcome.failures.append(f"{name}: what is served answers otherwise")
    outcome.figures = {"passed": outcome.n - len(outcome.failures), "ONNX Runtime itself cannot run": unable}
    return outcome


def _exported() -> Iterator[tuple[str, bytes, dict[str, np.ndarray]]]:
    """Those of the package `onnx` that are exports or come with inputs, and scikit-learn's, with inputs for each."""
    for path in sorted(Path(onnx.__file__).parent.glob("backend/test/data/*/*/model.onnx")):
        if path.parents[1].name in EXPORTED:
            body = path.read_bytes()
            yield f"{path.parents[1].name}/{path.parent.name}", body, _inputs(body, path.parent / "test_data_set_0")
    rows = np.random.default_rng(0).random((5, 4), np.float32)
    for number, body in enumerate(models.scikit_learn()):
        yield f"scikit-learn/{number}", body, {"X": rows}


def _inputs(body: bytes, folder: Path) -> dict[str, np.ndarray]:
    """The inputs beside a model; random ones where there are none."""
    graph = ModelProto.FromString(body).graph
    constants = {tensor.name for tensor in graph.initializer}
    values = [value for value in graph.input if value.name not in constants]
    random, feeds = np.random.default_rng(0), {}
    for number, value in enumerate(values):
        beside = folder / f"input_{number}.pb"
        if beside.is_file():
            feeds[value.name] = numpy_helper.to_array(onnx.TensorProto.FromString(beside.read_bytes()))
        else:
            shape = [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]
            kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type or 1)
            feeds[value.name] = random.random(shape).astype(kind)
    return feeds


def _direct(body: bytes, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    try:
        return list(runtime.load(body, optimize="off").run(None, feeds))
    except Exception:  # of ONNX Runtime's own kinds: without this kernel, type or opset
        return None


def _same(expected: list[np.ndarray], actual: list[np.ndarray] | None) -> bool:
    if actual is None or len(actual) != len(expected):
        return False
    return all(
        np.allclose(new, old, equal_nan=True, **TOLERANCE) if old.dtype.kind in "fc" else np.array_equal(new, old)
        for old, new in zip(expected, actual, strict=True)
        if isinstance(old, np.ndarray)
    )


def refuse_everything(seed: int) -> Outcome:
    """A gate with a file's size for a limit that is far too small."""
    rejects = lambda *_: outcome.rejected("too_large", "a limit of no bytes")  # noqa: E731 - a broken one, of one line
    with replaced((supervisor, "_reject_by_size", rejects)):
        return benign(5, seed)
