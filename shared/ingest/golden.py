"""The golden set: inputs with the outputs that the model gave where it was made. Whoever serves it must get the same.

The npz file is as untrusted as the model: all sizes are taken from the archive's directory and the arrays' headers,
and compared, before an array is allocated. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from shared.errors import BadInput
from shared.ingest import descriptors
from shared.ingest.verdict import Limits, Refused
from shared.runtime import samples
from shared.runtime.arrays import BF16, COMPUTED, computable, to_stored
from shared.runtime.onnx import Session
from shared.values import numbers
from shared.values.place import Where, in_input, in_output

FILE = "golden.npz"
MAX_ARRAYS = 256
LEAST_ATOL = 1e-3  # up to which a tolerance may exceed what a model answers: small numbers are no trick


Read = Callable[[Any, str, Where], np.ndarray]  # a value, its datatype and place → its array; raises BadInput


class Case(NamedTuple):
    """Arrays as the model takes and gives them, scalars among them; with any numbers of rows."""

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


def replay(
    session: Session, files: Mapping[str, int], golden: Mapping[str, Any] | None, limits: Limits
) -> dict[str, Any] | None:
    """Run every case on the model as it will be served. None when the package has no golden set.

    Returns cases, max_abs and passed. Raises Refused: golden_invalid, golden_mismatch.
    """
    declared = golden or {}
    rtol, atol = tolerance(golden)
    count, largest = 0, 0.0
    says_something, settles = limits.any_tolerance, limits.any_tolerance or atol <= LEAST_ATOL
    for case in cases(session, files, golden, limits):
        actual = _run(session, case)
        for name, expected in case.outputs.items():
            gap, fine = samples.difference(expected, actual[name], rtol, atol)
            if not fine:
                raise _mismatch(name, expected, actual[name], gap, rtol, atol)
            largest = max(largest, gap)
            says_something = says_something or _says_something(case, expected)
            settles = settles or _differs_from_zero(expected, rtol, atol)
        count += 1 if declared.get("cases") else _rows(case) or 1
    if not count:
        return None
    if not says_something:
        raise _invalid(
            "the golden set settles nothing: its outputs are NaN, or its arrays empty, throughout; "
            "take inputs that the model answers with numbers"
        )
    if not settles:
        raise _invalid(
            f"the golden set settles nothing: with atol {atol:g} and rtol {rtol:g} a model that answers 0 to "
            "everything would pass, too; lower atol to the differences that processors make, a "
            "hundredth of the spread at most"
        )
    return {"cases": count, "max_abs": largest, "passed": True}


def _says_something(case: Case, expected: np.ndarray) -> bool:
    """Whether an output holds a value; or none, of an input that does: nothing found is an answer, too."""
    if not expected.size:
        return any(array.size for array in case.inputs.values())
    values = computable(expected)
    return values.dtype.kind != "f" or not bool(np.isnan(values).all())


def _differs_from_zero(expected: np.ndarray, rtol: float, atol: float) -> bool:
    if expected.dtype.kind == "O":
        return True
    zeros = np.zeros_like(expected)
    return bool(expected.size) and not samples.difference(expected, zeros, rtol, atol)[1]


def tolerance(golden: Mapping[str, Any] | None) -> tuple[float, float]:
    """rtol and atol of a golden set as declared."""
    declared = golden or {}
    return float(declared.get("rtol", 1e-3)), float(declared.get("atol", 1e-4))


def cases(
    session: Session, files: Mapping[str, int], golden: Mapping[str, Any] | None, limits: Limits
) -> Iterator[Case]:
    """The cases that are written out, then the file as one. Raises Refused: golden_invalid."""
    declared = golden or {}
    inline = declared.get("cases") or []
    for number, case in enumerate(inline):
        yield _check_case(session, case["inputs"], case["outputs"], f"golden case {number}", _written_out(limits))
    name = declared.get("file") or FILE
    if name in files:
        arrays = _read(files[name], name, limits)
        inputs = {key.removeprefix("input."): a for key, a in arrays.items() if key.startswith("input.")}
        outputs = {key.removeprefix("output."): a for key, a in arrays.items() if key.startswith("output.")}
        if len(inputs) + len(outputs) != len(arrays):
            raise _invalid(f"{name} has arrays named {sorted(arrays)[:10]}; name them input.<name> and output.<name>")
        yield _check_case(session, inputs, outputs, name, _of_file)
    elif declared.get("file"):
        raise _invalid(f"amaas.json names the golden file {name!r}, which is not in the package; upload it too")


def _check_case(session: Session, inputs: Any, outputs: Any, where: str, read: Read) -> Case:
    output_specs = {spec.name: spec for spec in session.outputs}
    input_specs = {spec.name: spec for spec in (*session.inputs, *session.optional)}
    if not {spec.name for spec in session.inputs} <= set(inputs) <= set(input_specs):
        raise _invalid(f"{where} has the inputs {sorted(inputs)}, the model takes {sorted(input_specs)}")
    if not outputs or set(outputs) - set(output_specs):
        raise _invalid(f"{where} has the outputs {sorted(outputs)}, the model gives {sorted(output_specs)}")
    try:
        return Case(
            {
                name: read(value, input_specs[name].datatype, in_input(name, f"{where}, "))
                for name, value in inputs.items()
            },
            {
                name: read(value, output_specs[name].datatype, in_output(name, f"{where}, "))
                for name, value in outputs.items()
            },
        )
    except BadInput as error:
        raise _invalid(str(error)) from error


def _written_out(limits: Limits) -> Read:
    """Reads values as JSON has them. What was accepted before numbers had to be exact stays so: checked again."""

    def read(value: Any, datatype: str, where: Where) -> np.ndarray:
        try:
            return numbers.from_json(value, datatype, where)
        except BadInput:
            if not limits.any_tolerance:
                raise
        try:
            return to_stored(np.asarray(value, COMPUTED[datatype]), datatype)
        except (ValueError, TypeError, OverflowError) as error:
            raise BadInput(f"{where(())} is not an array of {datatype}: {error}") from error

    return read


def _of_file(array: np.ndarray, datatype: str, where: Where) -> np.ndarray:
    """Packages write as FP32 what numpy lacks, or as the two bytes that other libraries' types leave."""
    return array if datatype == "BF16" and array.dtype == BF16 else numbers.cast(array, datatype, where)


def _run(session: Session, case: Case) -> dict[str, np.ndarray]:
    """All rows at once, or in batches where the model's first dimension is fixed and all arrays have these rows."""
    names = list(case.outputs)
    batch, rows = _batch(session), _rows(case)
    try:
        if not batch or not rows or batch == rows or rows % batch or not all(a.ndim for a in case.outputs.values()):
            return dict(zip(names, session.run(names, case.inputs), strict=True))
        parts = [session.run(names, _cut(case.inputs, start, start + batch)) for start in range(0, rows, batch)]
    except BadInput as error:
        raise _invalid(f"the golden inputs do not run: {error}") from error
    return {name: np.concatenate([part[index] for part in parts]) for index, name in enumerate(names)}


def first_rows(session: Session, case: Case, most: int) -> Case:
    """At most so many rows of a case, or as many as the model always takes; the case itself where it has no rows.

    Scalars may say how many rows there are, or sum them up: only a model that fixes the number is cut beside them.
    """
    batch, rows = _batch(session), _rows(case)
    count = batch or most
    has_scalars = not all(array.ndim for array in (*case.inputs.values(), *case.outputs.values()))
    if not rows or rows <= count or (has_scalars and not batch):
        return case
    return Case(_cut(case.inputs, 0, count), _cut(case.outputs, 0, count))


def _cut(arrays: Mapping[str, np.ndarray], start: int, end: int) -> dict[str, np.ndarray]:
    return {name: array[start:end] if array.ndim else array for name, array in arrays.items()}


def _batch(session: Session) -> int | None:
    fixed = {spec.shape[0] for spec in session.inputs if spec.shape and spec.shape[0] > 0}
    return fixed.pop() if len(fixed) == 1 else None


def _rows(case: Case) -> int | None:
    """How many rows all arrays of a case have, scalars aside; None where they do not have as many."""
    lengths = {len(array) for array in (*case.inputs.values(), *case.outputs.values()) if array.ndim}
    return lengths.pop() if len(lengths) == 1 else None


def _read(descriptor: int, name: str, limits: Limits) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(descriptors.read(descriptor))) as archive:
            members = archive.infolist()
            if len(members) > MAX_ARRAYS or sum(member.file_size for member in members) > limits.golden_bytes:
                raise _invalid(
                    f"{name} unpacks to more than {limits.golden_bytes:,} bytes or {MAX_ARRAYS} arrays; "
                    "a few dozen rows are enough"
                )
            return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, SyntaxError, RuntimeError) as error:
        raise _invalid(f"{name} cannot be read ({error}); write it with numpy.savez and without objects") from None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream, max_header_size=10_000)
        if dtype.hasobject or math.prod(shape) * max(1, dtype.itemsize) > member.file_size:
            raise ValueError(f"array {member.filename!r} holds objects, or less data than its shape {shape} needs")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _mismatch(name: str, expected: np.ndarray, actual: np.ndarray, gap: float, rtol: float, atol: float) -> Refused:
    if expected.shape != actual.shape:
        what = f"has shape {list(actual.shape)} instead of {list(expected.shape)}"
    elif math.isinf(gap):
        what = "has other values"
    else:
        what = f"differs by up to {gap:.3g}, more than rtol {rtol:g} and atol {atol:g} allow"
    return Refused(
        "golden_mismatch",
        f"output {name!r} {what} on the golden set; check that model and golden set belong together",
    )


def _invalid(reason: str) -> Refused:
    return Refused("golden_invalid", reason)
