"""Sessions of ONNX Runtime, with explicit threads. Beside this module, only decoder.py knows it.

Nothing here parses or checks a model; what reaches `load` has passed the gate, or is in a process made to be killed.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import onnxruntime as ort

from shared.errors import AmaasError, BadInput
from shared.runtime import arrays, layout
from shared.runtime.arrays import DTYPES
from shared.runtime.datatypes import BY_ONNX_TYPE, BY_RUNTIME_NAME, DATATYPES, TABLE
from shared.runtime.signature import OutOfMemory, Signature, TensorSpec, Unloadable
from shared.runtime.sizes import Sizes, not_empty

__all__ = ["OutOfMemory", "Session", "TensorSpec", "Unloadable", "load", "load_memory", "rewrite"]

VERSION: str = ort.__version__

# Types that numpy lacks: `run` of ONNX Runtime can neither take nor give them, but values that are bound can be.
BOUND = frozenset(datatype.name for datatype in TABLE if datatype.computed != datatype.numpy)
IN_MEMORY = "model"  # the name by which a graph refers to its own file, where that is mapped
LEVELS = {
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


def _quiet() -> ort.RunOptions:
    options = ort.RunOptions()
    options.log_severity_level = 4
    return options


QUIET = _quiet()


class Session:
    """A model that is loaded. Safe to call from several threads. optional: inputs that have a default in the model."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.inputs = [_spec(arg) for arg in session.get_inputs()]
        self.optional = [_spec(arg) for arg in session.get_overridable_initializers()]
        self.outputs = [_spec(arg) for arg in session.get_outputs()]
        self._signature = Signature(self.inputs, self.optional, self.outputs)
        arguments = (*session.get_inputs(), *session.get_overridable_initializers())
        self._sizes = Sizes(arguments, not_empty(session.get_modelmeta().custom_metadata_map))
        self._bound = any(spec.datatype in BOUND for spec in (*self.inputs, *self.optional, *self.outputs))

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the named outputs, or all.

        Raises BadInput when the model cannot take these values, Unavailable when memory is over.
        """
        checked = self._signature.check(outputs, feeds)
        if 0 in [array.size for array in checked.values()]:
            self._sizes.check(checked)
        run = self._run_bound if self._bound else self._session.run
        with translated():
            answer: list[np.ndarray] = run(outputs, checked, QUIET)
        return answer

    def _run_bound(
        self, outputs: list[str] | None, feeds: dict[str, np.ndarray], options: ort.RunOptions
    ) -> list[np.ndarray]:
        """`run` with values that are bound, which may be of any type; but no text can go in."""
        binding = self._session.io_binding()
        arrays_ = {name: np.asarray(array, order="C") for name, array in feeds.items()}  # a binding points into them
        for name, array in arrays_.items():
            if arrays.NAMES.get(array.dtype) in BOUND:
                value = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(
                    array, DATATYPES[arrays.NAMES[array.dtype]].onnx
                )
                binding.bind_ortvalue_input(name, value)
            else:
                binding.bind_cpu_input(name, array)
        for name in outputs or [spec.name for spec in self.outputs]:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding, options)
        return [_array(value) for value in binding.get_outputs()]


@contextmanager
def translated() -> Iterator[None]:
    """What a run raises, as BadInput or OutOfMemory."""
    try:
        yield
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        if _is_memory(error):
            raise OutOfMemory("the model ran out of memory on this input; send a smaller one") from error
        raise BadInput(f"the model cannot run on this input: {_brief(error)}") from error


def open_session(
    model: bytes | str, threads: int = 1, optimize: str = "all", data: Mapping[str, mmap.mmap] | None = None
) -> ort.InferenceSession:
    """ONNX Runtime's own session, for who binds values to it. Raises Unloadable.

    data: files that the graph refers to, by the names that it has for them; of a model in memory. They have to live as
    long as the session, and none is opened.
    """
    options = _options(threads, optimize)
    # decoders of ONNX Runtime GenAI call axes by one name that differ from the second token on: buffers that are
    # planned by these names do not fit then. Without the plan, a decoder is as fast, and as large
    options.enable_mem_reuse = False
    try:
        if data and isinstance(model, bytes):
            _give_files(model, data, options)
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise _unloadable(error) from error


def _give_files(model: bytes, data: Mapping[str, mmap.mmap], options: ort.SessionOptions) -> None:
    """The tensors as values over the files, which are not copied; of what is no tensor of the graph itself, the files.

    Raises ValueError for a tensor that is not where the graph says.
    """
    names, values = [], []
    for reference in layout.references(model):
        file = data.get(reference.location)
        if file is None:
            raise ValueError(f"tensor {reference.name!r} is in the file {reference.location!r}, which is not there")
        end = len(file) if reference.length is None else reference.offset + reference.length
        if not 0 <= reference.offset <= end <= len(file):
            raise ValueError(f"tensor {reference.name!r} is beyond the end of {reference.location!r}")
        weight = layout.Weight(reference.name, reference.type, reference.shape, reference.offset, end)
        if (value := _weight(file, weight)) is not None:
            names.append(reference.name)
            values.append(value)
    options.add_external_initializers(names, values)
    views = [memoryview(file) for file in data.values()]
    options.add_external_initializers_from_files_in_memory(list(data), views, [len(file) for file in data.values()])


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


def load_memory(model: mmap.mmap, threads: int = 1, mapped: bool = True) -> Session:
    """As `load`, of a file that is in memory: none is opened. The mapping has to live as long as the session."""
    options = _options(threads, "all")
    graph = None
    with suppress(ValueError):  # which ONNX Runtime says better
        graph = layout.mapped(model, IN_MEMORY) if mapped else None
    try:
        if graph is not None:
            _give_weights(model, options)
        body = bytes(model) if graph is None else graph
        return Session(ort.InferenceSession(body, options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # as above
        raise _unloadable(error) from error


def _give_weights(model: mmap.mmap, options: ort.SessionOptions) -> None:
    """What the graph's references into its own file refer to. A tensor at a time is copied once, a file twice."""
    weights = layout.weights(model)
    tensors = [_weight(model, weight) for weight in weights]
    if None in tensors:  # of a type that has no datatype, as 4 bits
        options.add_external_initializers_from_files_in_memory([IN_MEMORY], [memoryview(model)], [len(model)])
    else:
        options.add_external_initializers([weight.name for weight in weights], tensors)


def _weight(model: mmap.mmap, weight: layout.Weight) -> ort.OrtValue | None:
    """The tensor, over the file's bytes; None where it is not as long as its shape says, or of an unknown type."""
    datatype = BY_ONNX_TYPE.get(weight.type)
    if datatype is None or not datatype.size or math.prod(weight.shape) * datatype.size != weight.end - weight.start:
        return None
    array = np.frombuffer(model, DTYPES[datatype.name], math.prod(weight.shape), weight.start)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.reshape(weight.shape), weight.type)


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
    """The model after ONNX Runtime's optimizations that hold on any CPU. Raises Unloadable.

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
    # the arena keeps what the largest call took for as long as the session lives, and is no faster than the C library
    options.enable_cpu_mem_arena = False
    return options


def _spec(arg: Any) -> TensorSpec:
    shape = [d if isinstance(d, int) and d >= 0 else -1 for d in (arg.shape or [])]
    datatype = BY_RUNTIME_NAME.get(arg.type)
    return TensorSpec(arg.name, datatype.name if datatype else arg.type, shape)


def _array(value: ort.OrtValue) -> np.ndarray:
    datatype = BY_RUNTIME_NAME.get(value.data_type())
    if datatype is None or datatype.name not in BOUND:
        return np.asarray(value.numpy())
    array = np.empty(value.shape(), DTYPES[datatype.name])
    ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, datatype.onnx).update_inplace(value)
    return array


def _unloadable(error: Exception) -> AmaasError:
    if _is_memory(error):
        return OutOfMemory("the model does not fit into memory; make it smaller, or quantize it")
    return Unloadable(f"ONNX Runtime {VERSION} cannot load the model: {_brief(error)}", type(error).__name__)


def _is_memory(error: Exception) -> bool:
    """ONNX Runtime has no class for this: the message is all there is."""
    text = str(error)
    return isinstance(error, MemoryError) or any(sign in text for sign in ("bad_alloc", "bad allocation", "llocate"))


def _brief(error: Exception) -> str:
    """ONNX Runtime's message without its own prefix, and short enough for an answer."""
    text = " ".join(str(error).split())
    return text.removeprefix("[ONNXRuntimeError] : ")[:400]
