"""Golden sets: written as the gate reads them, of what ONNX Runtime answers here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from amaas.convert.errors import NotConverted

FILE = "golden.npz"
MOST = 300  # characters of another library's error


def write(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    """arrays: input.NAME and output.NAME. Texts are written as numpy's own type: nothing is ever unpickled."""
    storable = {name: one.astype(np.str_) if one.dtype.kind == "O" else one for name, one in arrays.items()}
    np.savez_compressed(folder / FILE, **storable)  # type: ignore[arg-type]
    return folder / FILE


def opened(model: Path) -> Any:
    """A session of ONNX Runtime, on the processor. Raises NotConverted."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise NotConverted(f"{model.name} cannot be loaded by ONNX Runtime: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Of another library's error, in a sentence of ours."""
    return ((str(error).splitlines() or [""])[0] or type(error).__name__)[:MOST]
