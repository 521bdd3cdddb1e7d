"""What the gate may spend on a package, and what it says about it. Nothing here imports ONNX."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from shared.config import MiB


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one examination.

    memory: bytes of address space of the child. cpu, wall: seconds; cpu without the child's imports. model_bytes: the
    model and its weight files. nodes: with functions expanded. depth: of graphs within graphs. elements: of any one
    tensor whose shape is fixed. output_bytes: of one answer (Lambda returns at most 6 MB). golden_bytes: unpacked.
    scan, sandbox: only tests turn these off, to show that the walls behind hold alone.
    """

    memory: int = 2048 * MiB
    cpu: int = 20
    wall: float = 30.0
    model_bytes: int = 250 * MiB
    nodes: int = 20_000
    depth: int = 8
    elements: int = 200_000_000
    loop_trips: int = 10_000
    output_bytes: int = 6_000_000
    golden_bytes: int = 64 * MiB
    scan: bool = True
    sandbox: bool = True


class Verdict(Struct, frozen=True, kw_only=True):
    """The outcome of one examination.

    code: stable, for programs; `accepted` when all is well. reason: what happened and what to do, for people.
    inputs, outputs: {"name", "datatype", "shape"}, -1 where a dimension may vary; optional: inputs with a default.
    size: of model.onnx, in bytes.
    operators: how often the graph uses each. parameters: numbers in its initializers.
    optimized: the model to serve, or None to serve the uploaded one. probe: "ran", or "inconclusive" when no input
    could be made up that the model runs on. ran: shapes of inputs that it did run on, by name. labels: class labels
    that were found in the graph. reference: how far the answers are from the model's own arithmetic. samples: what to
    replay on other kinds of processors, encoded (shared/runtime/samples.py). seconds: wall time.
    """

    accepted: bool
    code: str
    reason: str
    inputs: list[dict[str, Any]] = field(default_factory=list)
    optional: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    opset: dict[str, int] = field(default_factory=dict)
    nodes: int = 0
    operators: dict[str, int] = field(default_factory=dict)
    parameters: int = 0
    size: int = 0
    optimized: bytes | None = None
    optimization: dict[str, Any] = field(default_factory=dict)
    golden: dict[str, Any] | None = None
    probe: str = "inconclusive"
    ran: dict[str, list[int]] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)
    labels: list[str] | None = None
    reference: dict[str, Any] = field(default_factory=dict)
    samples: bytes | None = None
    seconds: float = 0.0


class Refused(Exception):
    """Raised inside the child to end the examination with a verdict."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
