"""The golden set decides on the model that will be served, and is itself untrusted."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.ingest.verdict import Limits
from tests.ingest.conftest import Gate, package
from tests.support import linear, tiny_classifier

WEIGHT = [[1.0, 2.0], [3.0, 4.0]]
X = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
Y = X @ np.array(WEIGHT, np.float32)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name.replace("__", "."): array for name, array in arrays.items()})
    return buffer.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def test_a_golden_set_that_fits(gate: Gate) -> None:
    verdict = gate(linear(WEIGHT), **{"golden.npz": npz(input__x=X, output__y=Y)})
    assert verdict.accepted, verdict.reason
    assert verdict.golden == {"cases": 3, "max_abs": 0.0, "passed": True}


def test_inline_cases(gate: Gate) -> None:
    case = {"inputs": {"x": X[:1].tolist()}, "outputs": {"y": (Y[:1] + 0.05).tolist()}}
    golden = {"cases": [case, case], "rtol": 0.1, "atol": 0.1, "file": None}
    verdict = gate(linear(WEIGHT), {"golden": golden})
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None
    assert (verdict.golden["cases"], round(verdict.golden["max_abs"], 3)) == (2, 0.05)
    strict = gate(linear(WEIGHT), {"golden": golden | {"rtol": 0.0, "atol": 1e-4}})
    assert (strict.accepted, strict.code) == (False, "golden_mismatch")
    assert "'y'" in strict.reason and "0.05" in strict.reason


def test_a_fixed_batch_is_replayed_in_batches(gate: Gate) -> None:
    from onnx import load_from_string

    model = load_from_string(tiny_classifier())
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 2
    images = np.random.default_rng(0).random((6, 1, 4, 4)).astype(np.float32)
    flat = images.reshape(6, 16)
    logits = np.stack([flat[:, k::3].sum(1) for k in range(3)], 1)
    golden = npz(input__image=images, output__logits=logits)
    verdict = gate(model.SerializeToString(), **{"golden.npz": golden})
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None and verdict.golden["cases"] == 6


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("owned",))


BAD = {
    "mismatch": (npz(input__x=X, output__y=Y + 1), "golden_mismatch", "differs by up to 1"),
    "other shape": (npz(input__x=X, output__y=Y[:, :1]), "golden_mismatch", "shape"),
    "nan expected": (npz(input__x=X, output__y=np.full_like(Y, np.nan)), "golden_mismatch", "other values"),
    "nan input": (npz(input__x=X * np.nan, output__y=Y), "golden_mismatch", "other values"),
    "nothing but nan": (npz(input__x=X * np.nan, output__y=Y * np.nan), "golden_invalid", "settles nothing"),
    "no rows": (npz(input__x=X[:0], output__y=Y[:0]), "golden_invalid", "settles nothing"),
    "infinite expected": (npz(input__x=X, output__y=np.full_like(Y, np.inf)), "golden_mismatch", "other values"),
    "too large": (npz(input__x=X, output__y=Y * np.array([1, 1e300])), "golden_invalid", "'y' at [0, 1]: "),
    "complex numbers": (npz(input__x=X, output__y=Y * 1j), "golden_invalid", "complex"),
    "unknown array": (npz(x=X, output__y=Y), "golden_invalid", "input.<name>"),
    "unknown output": (npz(input__x=X, output__z=Y), "golden_invalid", "'z'"),
    "unknown input": (npz(input__a=X, output__y=Y), "golden_invalid", "'a'"),
    "no output": (npz(input__x=X), "golden_invalid", "outputs"),
    "other length": (npz(input__x=X, output__y=Y[:2]), "golden_mismatch", "shape [3, 2] instead of [2, 2]"),
    "scalar for rows": (npz(input__x=X, output__y=Y[0, 0]), "golden_mismatch", "instead of []"),
    "no width": (zipped("input.x.npy", header("(1000000000000,)", "<U0")), "golden_invalid", "less"),
    "other type": (npz(input__x=X.astype(str), output__y=Y), "golden_invalid", "golden.npz, input 'x' has values"),
    "objects": (npz(input__x=np.array([[Evil(), 1]], object), output__y=Y[:1]), "golden_invalid", "objects"),
    "not an archive": (b"this is no archive", "golden_invalid", "numpy.savez"),
    "pickle": (pickle.dumps(Evil()), "golden_invalid", "numpy.savez"),
    "bomb": (zipped("input.x.npy", header("(75000000,)") + bytes(300_000_000)), "golden_invalid", "unpacks"),
    "lying header": (zipped("input.x.npy", header("(1000000000000,)")), "golden_invalid", "less"),
    "code in the header": (zipped("input.x.npy", header("__import__('os')")), "golden_invalid", "read"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(gate: Gate, name: str) -> None:
    content, code, words = BAD[name]
    verdict = gate(linear(WEIGHT), **{"golden.npz": content})
    assert (verdict.accepted, verdict.code) == (False, code), verdict.reason
    assert words in verdict.reason


def test_a_golden_file_that_is_missing(gate: Gate) -> None:
    verdict = gate(linear(WEIGHT), {"golden": {"file": "golden.npz", "cases": []}})
    assert (verdict.accepted, verdict.code) == (False, "golden_invalid")


def test_an_optimization_that_breaks_the_golden_set_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's steps, run here: the optimizer is replaced by one whose model answers something else."""
    from shared.ingest import checks, optimize

    monkeypatch.setattr(optimize, "optimize", lambda *_: (linear([[9.0, 9.0], [9.0, 9.0]]), {"kept": True}))
    paths = package(tmp_path, {"model.onnx": linear(WEIGHT), "golden.npz": npz(input__x=X, output__y=Y)})
    with ExitStack() as stack:
        files = {name: stack.enter_context(path.open("rb")).fileno() for name, path in paths.items()}
        verdict = checks.check_model(checks.Package(files, None, Limits(), lambda: 0), [])
    assert verdict.accepted and verdict.optimized is None
    assert verdict.optimization["kept"] is False and "golden" in verdict.optimization["why"]
    assert verdict.golden is not None and verdict.golden["max_abs"] == 0.0


def test_inline_values_that_are_no_array(gate: Gate) -> None:
    case = {"inputs": {"x": [[1, 2], [3]]}, "outputs": {"y": [[1, 2]]}}
    verdict = gate(linear(WEIGHT), {"golden": {"cases": [case]}})
    assert (verdict.accepted, verdict.code) == (False, "golden_invalid")
    assert "golden case 0, input 'x'" in verdict.reason


def test_a_tolerance_of_everything_settles_nothing(gate: Gate) -> None:
    files = {"golden.npz": npz(input__x=X, output__y=Y)}
    for atol, rtol in ((1000.0, 0.0), (float(np.abs(Y).max()), 0.01)):
        verdict = gate(linear(WEIGHT), {"golden": {"file": "golden.npz", "atol": atol, "rtol": rtol}}, **files)
        assert (verdict.accepted, verdict.code) == (False, "golden_invalid")
        assert "a model that answers 0 to everything would pass" in verdict.reason
    tolerant = {"golden": {"file": "golden.npz", "atol": float(np.abs(Y).max()) / 2, "rtol": 0.01}}
    assert gate(linear(WEIGHT), tolerant, **files).accepted
    again = gate(
        linear(WEIGHT), {"golden": {"file": "golden.npz", "atol": 1000.0}}, Limits(any_tolerance=True), **files
    )
    assert again.accepted, "what was accepted once stays so when it is checked again"


def test_small_numbers_are_no_trick(gate: Gate) -> None:
    small = X * np.float32(1e-6)
    files = {"golden.npz": npz(input__x=small, output__y=small @ np.array(WEIGHT, np.float32))}
    assert gate(linear(WEIGHT), **files).accepted
