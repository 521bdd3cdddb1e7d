"""Small quantized graphs by hand: weights and activations that make sums of two products pass 16 bits."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from tests.portability.corpus.simulation import Simulation

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
TYPES = {
    "u8": TensorProto.UINT8, "s8": TensorProto.INT8, "u16": TensorProto.UINT16, "s16": TensorProto.INT16,
    "u4": TensorProto.UINT4, "s4": TensorProto.INT4, "s32": TensorProto.INT32,
}  # fmt: skip
NUMPY = {"u8": np.uint8, "s8": np.int8, "u16": np.uint16, "s16": np.int16, "s32": np.int32}
SPAN = {"u8": (0, 255), "s8": (-128, 127), "u16": (0, 65535), "s16": (-32768, 32767), "u4": (0, 15), "s4": (-8, 7)}
MICROSOFT = "com.microsoft"
NEWEST = 25  # the operator set of the newest exporters


@dataclass(frozen=True)
class Case:
    """A model and what to ask of it.

    step: one quantization step of the outputs, by which a few values may differ: two roundings of one tie; 0 where the
    outputs are not quantized. noise: the largest allowed ‖y − ŷ‖ / ‖ŷ‖. parent: the float model that this one is made
    from, where answers are held against its own: see running.expectation.
    """

    name: str
    model: bytes
    feeds: dict[str, np.ndarray]
    step: float = 0.0
    noise: float = 1e-4
    parent: bytes | None = None


@dataclass
class Graph:
    """A graph while it is built. prefix: of its values' names, where it is inside another."""

    name: str
    opset: int = 13
    constants_as_nodes: bool = False
    prefix: str = ""
    nodes: list[NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)
    inputs: list[ValueInfoProto] = field(default_factory=list)
    outputs: list[ValueInfoProto] = field(default_factory=list)
    functions: list[FunctionProto] = field(default_factory=list)
    feeds: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(zlib.crc32(self.name.encode()))

    def input(self, values: np.ndarray, name: str = "") -> str:
        """A graph input, with what is fed to it."""
        name = name or f"x{len(self.inputs)}"
        dtype = helper.np_dtype_to_tensor_dtype(values.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, dtype, list(values.shape)))
        self.feeds[name] = values
        return name

    def output(self, name: str, dtype: int, rank: int) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, dtype, [f"{name}_{axis}" for axis in range(rank)]))

    def constant(self, values: Any, dtype: str | int = FLOAT) -> str:
        """An initializer, or a Constant node."""
        kind = TYPES[dtype] if isinstance(dtype, str) else dtype
        array = np.asarray(values)
        name = f"{self.prefix}c{len(self.tensors) + len(self.nodes)}"
        tensor = helper.make_tensor(name, kind, array.shape, array.reshape(-1).tolist())
        if not self.constants_as_nodes:
            self.tensors.append(tensor)
            return name
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def node(self, kind: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """The name of the node's output, or their names."""
        names = [f"{self.prefix}v{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, values: np.ndarray, kind: str = "s8", zero: Any = None, shape: tuple[int, ...] = ()) -> list[str]:
        """Names of an 8-bit weight and its zero point, which is "" where it has none.

        values: int8; of kind "u8" they are stored with 128 added. zero: of the int8 values. shape: of the zero point.
        """
        shift = 128 if kind == "u8" else 0
        stored = values.astype(np.int64) + shift
        offset = np.full(shape, shift) if shift else None
        if zero is not None:
            offset = np.broadcast_to(np.asarray(zero, np.int64), shape) + shift
        return [self.constant(stored, kind), "" if offset is None else self.constant(offset, kind)]

    def value(self, name: str) -> np.ndarray:
        """What the graph, as far as it is built, computes under this name."""
        simulation = Simulation(self.model())
        opsets = {entry.domain: entry.version for entry in simulation.model.opset_import}
        return simulation.graph(simulation.model.graph, dict(self.feeds), opsets)[name]

    def graph(self) -> GraphProto:
        return helper.make_graph(self.nodes, "graph", self.inputs, self.outputs, self.tensors)

    def case(self, step: float = 0.0, noise: float = 1e-4) -> Case:
        return Case(self.name, self.model().SerializeToString(), self.feeds, step, noise)

    def model(self) -> ModelProto:
        domains = {node.domain for node in self.nodes} | {MICROSOFT}
        opsets = [helper.make_opsetid(domain, 1) for domain in sorted(domains - {"", "ai.onnx"})]
        opsets.insert(0, helper.make_opsetid("", self.opset))
        version = 8 if self.opset < 19 else 9 if self.opset < 21 else 10
        return helper.make_model(
            self.graph(), opset_imports=opsets, ir_version=version, functions=self.functions, producer_name="corpus"
        )


def weights(random: np.random.Generator, *shape: int) -> np.ndarray:
    """int8 values near the ends of the range, of one sign in runs along the summed axes; some are -128.

    shape: [K, N], or [M, C, …] of a convolution, whose first axis is the output channel.
    """
    size = random.integers(100, 128, shape)
    if len(shape) == 2:
        runs = -(-shape[0] // 8)
        signs = np.repeat(random.choice([-1, 1], (runs, shape[1]), p=[0.4, 0.6]), 8, axis=0)[: shape[0]]
    else:
        signs = np.repeat(random.choice([-1, 1], (shape[0], -(-shape[1] // 4)), p=[0.4, 0.6]), 4, axis=1)
        signs = signs[:, : shape[1]].reshape(*signs[:, : shape[1]].shape, *[1] * (len(shape) - 2))
    values = size * signs
    return np.where(values <= -126, -128, values).astype(np.int8)


def activations(random: np.random.Generator, kind: str, *shape: int) -> np.ndarray:
    """Integers near the ends of the type's range: the upper end of unsigned ones, both of signed ones."""
    low, high = SPAN[kind]
    if low == 0:
        return random.integers(high - high // 4, high + 1, shape).astype(NUMPY[kind])
    size = random.integers(high - high // 4, high + 1, shape)
    run = np.repeat(random.choice([-1, 1], (*shape[:-1], -(-shape[-1] // 8))), 8, axis=-1)[..., : shape[-1]]
    return (size * run).astype(NUMPY[kind])


def fitted(values: np.ndarray, kind: str) -> tuple[float, int]:
    """Scale and zero point that hold these real values in the type."""
    low, high = SPAN[kind]
    least, most = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if low < 0:
        return float(np.float32(max(-least, most, 1e-6) / high)), 0
    scale = float(np.float32(max(most - least, 1e-6) / (high - low)))
    return scale, int(np.clip(round(-least / scale), low, high))
