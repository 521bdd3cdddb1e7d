"""The only module that knows ONNX Runtime: sessions with explicit threads, and the protocol's datatypes.

Nothing here parses or checks a model; what reaches `load` has passed the gate, or is in a process made to be killed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from shared.errors import AmaasError, BadInput, Unavailable

VERSION: str = ort.__version__

# Open Inference Protocol name → numpy type. BF16 has none.
DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
# ONNX Runtime's name of a tensor's type → the protocol's.
NAMES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(bfloat16)": "BF16",
    "tensor(string)": "BYTES",
}
LEVELS = {
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


class Unloadable(AmaasError):
    """ONNX Runtime refuses the model itself."""

    status = 503


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output. shape: -1 where the dimension may vary."""

    name: str
    datatype: str
    shape: list[int]


class Session:
    """A model that is loaded. Safe to call from several threads."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.inputs = [_spec(arg) for arg in session.get_inputs()]
        self.outputs = [_spec(arg) for arg in session.get_outputs()]

    def run(
        self, outputs: list[str] | None, feeds: dict[str, np.ndarray], timeout: float | None = None
    ) -> list[np.ndarray]:
        """Compute the named outputs, or all. timeout in seconds, checked between the graph's nodes.

        Raises BadInput when the model cannot take these values, Unavailable when the time is over.
        """
        options = ort.RunOptions()
        timer = threading.Timer(timeout, setattr, (options, "terminate", True)) if timeout else None
        if timer:
            timer.start()
        try:
            return self._session.run(outputs, feeds, options)
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            if options.terminate:
                raise Unavailable(f"the model did not answer within {timeout:g} s; send a smaller input") from error
            raise BadInput(f"the model cannot run on this input: {_brief(error)}") from error
        finally:
            if timer:
                timer.cancel()


def load(
    model: bytes | str, *, threads: int = 1, optimize: str = "all", save_to: str | None = None
) -> Session:
    """A session from a model's bytes, or from its path. Raises Unloadable with ONNX Runtime's reason.

    threads: of one operator; operators run one after another. save_to: a path for the optimised graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads  # left to itself, ONNX Runtime asks for CPU affinities, which Lambda refuses
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = LEVELS[optimize]
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if save_to:
        options.optimized_model_filepath = save_to
    try:
        return Session(ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # as above
        raise Unloadable(f"ONNX Runtime {VERSION} cannot load the model: {_brief(error)}") from error


def _spec(arg: Any) -> TensorSpec:
    shape = [d if isinstance(d, int) and d >= 0 else -1 for d in (arg.shape or [])]
    return TensorSpec(arg.name, NAMES.get(arg.type, arg.type), shape)


def _brief(error: Exception) -> str:
    """ONNX Runtime's message without its own prefix, and short enough for an answer."""
    text = " ".join(str(error).split())
    return text.removeprefix("[ONNXRuntimeError] : ")[:400]
