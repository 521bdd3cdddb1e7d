"""The only module that knows ONNX Runtime: sessions with explicit threads, and the protocol's datatypes.

Nothing here parses or checks a model; what reaches `load` has passed the gate, or is in a process made to be killed.
"""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from typing import Any

import numpy as np
import onnxruntime as ort
from msgspec import Struct

from shared.errors import AmaasError, BadInput, Unavailable
from shared.runtime import layout

VERSION: str = ort.__version__

# numpy has no bfloat16: its two bytes as they are, of a type that is none of the others.
BF16 = np.dtype("V2")
BF16_ELEMENT = 16  # TensorProto.BFLOAT16

# Open Inference Protocol name → numpy type. BF16 has none; see BF16.
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


def _run_options() -> ort.RunOptions:
    options = ort.RunOptions()
    options.log_severity_level = 4
    return options


QUIET = _run_options()  # of runs that nobody ends: those may share it


class Unloadable(AmaasError):
    """ONNX Runtime refuses the model itself. kind: ONNX Runtime's own class of the error."""

    status = 503

    def __init__(self, message: str, kind: str = "Fail") -> None:
        super().__init__(message)
        self.kind = kind


class OutOfMemory(Unavailable):
    """A tensor that the model asked for did not fit."""


class TensorSpec(Struct, frozen=True):
    """One input or output. datatype: the protocol's name, or ONNX Runtime's where the protocol has none.

    shape: -1 where the dimension may vary.
    """

    name: str
    datatype: str
    shape: list[int]


class Session:
    """A model that is loaded. Safe to call from several threads. optional: inputs that have a default in the model."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.inputs = [_spec(arg) for arg in session.get_inputs()]
        self.optional = [_spec(arg) for arg in session.get_overridable_initializers()]
        self.outputs = [_spec(arg) for arg in session.get_outputs()]
        self._known = {spec.name: spec for spec in (*self.inputs, *self.optional)}
        self._needed = {spec.name for spec in self.inputs}
        self._given = {spec.name for spec in self.outputs}
        self._bound = any(spec.datatype == "BF16" for spec in (*self.inputs, *self.optional, *self.outputs))

    def run(
        self, outputs: list[str] | None, feeds: dict[str, np.ndarray], timeout: float | None = None
    ) -> list[np.ndarray]:
        """Compute the named outputs, or all. timeout in seconds, checked between the graph's nodes.

        Raises BadInput when the model cannot take these values, Unavailable when time or memory is over.
        """
        checked = self._check(outputs, feeds)
        run = self._run_bound if self._bound else self._session.run
        options = _run_options() if timeout else QUIET
        timer = threading.Timer(timeout, setattr, (options, "terminate", True)) if timeout else None
        if timer:
            timer.start()
        try:
            answer: list[np.ndarray] = run(outputs, checked, options)
            return answer
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            if options.terminate:
                raise Unavailable(f"the model did not answer within {timeout:g} s; send a smaller input") from error
            if _is_memory(error):
                raise OutOfMemory("the model ran out of memory on this input; send a smaller one") from error
            raise BadInput(f"the model cannot run on this input: {_brief(error)}") from error
        finally:
            if timer:
                timer.cancel()

    def _run_bound(
        self, outputs: list[str] | None, feeds: dict[str, np.ndarray], options: ort.RunOptions
    ) -> list[np.ndarray]:
        """`run` of ONNX Runtime cannot take or give bfloat16; values that are bound can, but text cannot go in."""
        binding = self._session.io_binding()
        held = {name: np.asarray(array, order="C") for name, array in feeds.items()}  # a binding points into them
        for name, array in held.items():
            if array.dtype == BF16:
                value = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, BF16_ELEMENT)
                binding.bind_ortvalue_input(name, value)
            else:
                binding.bind_cpu_input(name, array)
        for name in outputs or [spec.name for spec in self.outputs]:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding, options)
        return [_array(value) for value in binding.get_outputs()]

    def _check(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not self._needed <= feeds.keys() <= self._known.keys():
            raise BadInput(f"the inputs are {sorted(feeds)}, the model takes {sorted(self._known)}")
        if outputs and not self._given.issuperset(outputs):
            missing = sorted(set(outputs) - self._given)
            raise BadInput(f"the model has no output {missing}: it has {[spec.name for spec in self.outputs]}")
        return {name: _feed(self._known[name], array) for name, array in feeds.items()}


def load(model: bytes | str, threads: int = 1, optimize: str = "all", mapped: bool = True) -> Session:
    """A session from a model's bytes, or from its path. Raises Unloadable with ONNX Runtime's reason.

    threads: of one operator; operators run one after another. optimize: "all", "extended" or "off". mapped: of a file,
    the weights that are aligned are not read but mapped: then it takes its place on the disk for as long as the session
    is there, even when it is removed.
    """
    options = _options(threads, optimize)
    if isinstance(model, str) and mapped:
        model = _graph(model, options) or model
    try:
        return Session(ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # as above
        raise _unloadable(error) from error


def _graph(path: str, options: ort.SessionOptions) -> bytes | None:
    """The graph of a model's file, with references into the file; None when there is nothing to map."""
    with suppress(OSError, ValueError):  # which ONNX Runtime says better
        folder, name = os.path.split(path)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as model:
            graph = layout.mapped(model, name)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        return graph
    return None


def rewrite(model: bytes) -> bytes:
    """The model after ONNX Runtime's optimisations that hold on any CPU. Raises Unloadable.

    Never more than EXTENDED: the next level bakes this CPU's memory layout in, and answers wrongly on another CPU.
    The compiler's interface, unlike `optimized_model_filepath`, opens no file, so it works inside the sandbox.
    """
    try:
        compiler = ort.ModelCompiler(_options(1, "extended"), model, graph_optimization_level=LEVELS["extended"])
        return bytes(compiler.compile_to_bytes())
    except Exception as error:  # as above
        raise _unloadable(error) from error


def _options(threads: int, optimize: str) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads  # left to itself, ONNX Runtime asks for CPU affinities, which Lambda refuses
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = LEVELS[optimize]
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # of weight-only models: activations stay FP32. Left to itself, ONNX Runtime rounds them to 8 bits: off by 1 %
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    # weights live as long as the session: in the arena, which grows by doubling, they would waste up to their own size
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return options


def _spec(arg: Any) -> TensorSpec:
    shape = [d if isinstance(d, int) and d >= 0 else -1 for d in (arg.shape or [])]
    return TensorSpec(arg.name, NAMES.get(arg.type, arg.type), shape)


def _feed(spec: TensorSpec, array: np.ndarray) -> np.ndarray:
    """The array as ONNX Runtime takes it. Raises BadInput for another rank or datatype than the model's."""
    if array.ndim != len(spec.shape):
        raise BadInput(f"input {spec.name!r} has shape {list(array.shape)}, the model takes {spec.shape}")
    if spec.datatype == "BYTES":
        return _text(spec.name, array)
    if array.dtype != (BF16 if spec.datatype == "BF16" else DTYPES.get(spec.datatype)):
        raise BadInput(f"input {spec.name!r} is of type {array.dtype}, the model takes {spec.datatype}")
    return array


def _text(name: str, array: np.ndarray) -> np.ndarray:
    """ONNX Runtime takes `str`; bytes objects it would feed as their repr."""
    if array.dtype.kind not in "OSU":
        raise BadInput(f"input {name!r} is of type {array.dtype}, the model takes BYTES")
    if array.dtype.kind == "U":
        return array.astype(np.object_)
    try:
        flat = [item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1)]
    except UnicodeDecodeError as error:
        raise BadInput(f"input {name!r} holds bytes that are not UTF-8, which ONNX strings have to be") from error
    text = np.empty(len(flat), np.object_)
    text[:] = flat
    return text.reshape(array.shape)


def _array(value: ort.OrtValue) -> np.ndarray:
    if value.data_type() != "tensor(bfloat16)":
        return np.asarray(value.numpy())
    array = np.empty(value.shape(), BF16)
    ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, BF16_ELEMENT).update_inplace(value)
    return array


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """FP32 → BF16, to the nearest, of two equally near to the even one. What is too large becomes infinite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).reshape(values.shape)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16
    quiet = np.where(np.isnan(values), (bits >> 16) | np.uint32(0x40), rounded)
    return np.ascontiguousarray(quiet.astype(np.uint16)).view(BF16).reshape(values.shape)


def widened(values: np.ndarray) -> np.ndarray:
    """BF16 → FP32, exactly."""
    bits = np.ascontiguousarray(values).view(np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32).reshape(values.shape)


def _unloadable(error: Exception) -> AmaasError:
    if _is_memory(error):
        return OutOfMemory("the model does not fit into memory; make it smaller, or quantise it")
    return Unloadable(f"ONNX Runtime {VERSION} cannot load the model: {_brief(error)}", type(error).__name__)


def _is_memory(error: Exception) -> bool:
    """ONNX Runtime has no class for this: the message is all there is."""
    text = str(error)
    return isinstance(error, MemoryError) or any(sign in text for sign in ("bad_alloc", "bad allocation", "llocate"))


def _brief(error: Exception) -> str:
    """ONNX Runtime's message without its own prefix, and short enough for an answer."""
    text = " ".join(str(error).split())
    return text.removeprefix("[ONNXRuntimeError] : ")[:400]
