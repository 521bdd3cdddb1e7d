"""The limits of the checks on a package, and their result. Nothing here imports ONNX: the supervisor needs none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from shared.config import MiB
from shared.package.manifest import Manifest

FILTER_MISSING = "system_call_filter_missing"  # the code in the worker's answer where it read nothing for that reason


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of the checks on one package.

    memory: bytes of address space of the worker. cpu, wall: seconds; cpu without the worker's imports. model_bytes: the
    model and its weight files. nodes: with functions expanded. depth: of graphs within graphs. elements: of any one
    tensor whose shape is fixed. output_bytes: of one answer (Lambda returns at most 6 MB). golden_bytes: unpacked.
    spill_bytes: that the worker may write to a file it is given, 0 for none.
    any_tolerance: whether a golden set may tolerate everything, and numbers in it be inexact, as those of versions from
    before that was refused.
    require_filter: no verdict where the kernel takes no system-call filter. scan, sandbox: only tests turn these
    off, to show that the other layers of defense hold alone.
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
    spill_bytes: int = 0
    any_tolerance: bool = False
    require_filter: bool = True
    scan: bool = True
    sandbox: bool = True


class Verdict(Struct, frozen=True, kw_only=True):
    """The result of the checks on one package.

    code: stable, for programs; `accepted` if it passed. reason: what happened and what to do, for people.
    inputs, outputs: {"name", "datatype", "shape"}, -1 where a dimension may vary; optional: inputs with a default.
    size: of model.onnx, in bytes.
    operators: how often the graph uses each. parameters: numbers in its initializers.
    optimized: the model to serve, or None to serve the uploaded one. wide: the same with signed 8-bit weights, for
    processors that sum in 32 bits, where it is faster; None if there is one form only.
    probe: "ran", or "inconclusive" if the model ran on none of the generated inputs. ran: shapes of the inputs that it
    ran on, by name. labels: class labels from the graph. reference: how far the answers are from the model's own
    arithmetic. samples: what to replay on other kinds of processors, encoded (shared/runtime/samples.py). weights: of a
    decoder, the files that they are in. graphs: of a model of several, those beside model.onnx by name, as they are to
    be served; without bytes where that is as uploaded. generation: what was tried of it. seconds: wall time.
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
    wide: bytes | None = None
    optimization: dict[str, Any] = field(default_factory=dict)
    golden: dict[str, Any] | None = None
    probe: str = "inconclusive"
    ran: dict[str, list[int]] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)
    labels: list[str] | None = None
    reference: dict[str, Any] = field(default_factory=dict)
    samples: bytes | None = None
    weights: tuple[str, ...] = ()
    graphs: dict[str, bytes] = field(default_factory=dict)
    generation: dict[str, Any] | None = None
    seconds: float = 0.0


class Reading(Struct, omit_defaults=True):
    """What an `amaas.json` says, or why it is refused; neither if nothing was read. seccomp: is the filter on."""

    seccomp: bool
    manifest: Manifest | None = None
    refusal: str | None = None


class UnpackedFile(Struct, frozen=True):
    """A file of an archive. size: in bytes, as they came out."""

    name: str
    size: int


class Unpacked(Struct, omit_defaults=True):
    """The files of an archive in the order of their contents, or why it is refused (code, reason).

    interrupted: what the disk said, which is no verdict. None of these if nothing was read. seccomp: is the filter on.
    """

    seccomp: bool
    files: list[UnpackedFile] | None = None
    code: str | None = None
    reason: str | None = None
    interrupted: str | None = None


class Refused(Exception):
    """Ends the checks with a rejection. code: stable; the message: what to do."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


# Calls with extreme values. They may end the process, so the worker makes them after the verdict is written. The
# argument is a function that records a description of each call before it is made.
ExtremeCalls = Callable[[Callable[[str], None]], None]
