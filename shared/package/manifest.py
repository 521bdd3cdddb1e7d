"""What a model package says of itself: the schema of `amaas.json`, and of the manifest that is served.

Only shape and bounds are checked here; whether the model agrees with it is for the gate to find out.
"""

# annotations are not kept as text: msgspec would take 2 ms of each cold start to read them

from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from shared import formats, json_faults
from shared.config import MiB
from shared.errors import BadInput
from shared.package.processing import After, Before, fill_kinds
from shared.package.tasks import TASKS, TENSOR
from shared.runtime.datatypes import DATATYPES

# any text: a stored manifest may be of a release that has other tasks; an upload's is checked, see decode
TaskName = Annotated[str, Meta(description="what the model means", examples=list(TASKS))]
if TYPE_CHECKING:
    Datatype = str
else:
    Datatype = Literal[tuple(DATATYPES)]
Step = Literal["train", "prune", "quantize", "distil", "optimize", "import"]


class Tensor(Struct, frozen=True):
    """One input or output. shape: -1 stands for a dimension that may vary."""

    name: str
    datatype: Datatype
    shape: list[int]


class GoldenCase(Struct, frozen=True, forbid_unknown_fields=True):
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Golden(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Inputs with the outputs they must give: in a file of the package (npz), or written out as cases.

    agree: of a model that generates text, also of speech, the share of tokens that must be its likeliest; see
    ingest/decoders.py, ingest/golden_sounds.py.
    """

    file: str | None = None
    cases: Annotated[list[GoldenCase], Meta(max_length=1000)] = field(default_factory=list)
    rtol: Annotated[float, Meta(ge=0)] = 1e-3
    atol: Annotated[float, Meta(ge=0)] = 1e-4
    agree: Annotated[float, Meta(ge=0.5, le=1)] | UnsetType = UNSET  # not stored where it is not said: 0.1 has none

    @property
    def least_agreement(self) -> float:
        return 0.97 if self.agree is UNSET else self.agree


class Lineage(Struct, frozen=True, kw_only=True):
    parent: str | None = None
    step: Step = "import"
    details: dict[str, Any] = field(default_factory=dict)


class Manifest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of `amaas.json`. Unknown members are ignored, so that newer packages load in older services.

    optional, gate: inputs with a default in the graph, and what the check on upload found; set by the service, whatever
    a package says. format: of this file, 1 where it is not said; always written into what is stored.
    """

    name: str | None = None
    task: TaskName = TENSOR
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    optional: list[Tensor] = field(default_factory=list)
    preprocess: Before | None = None
    postprocess: After | None = None
    labels: Annotated[list[str], Meta(max_length=100_000)] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] | str | None = None
    licence: str | None = None
    card: Annotated[str, Meta(max_length=200_000)] | None = None
    tags: Annotated[list[str], Meta(max_length=50)] = field(default_factory=list)
    lineage: Lineage | None = None
    golden: Golden | None = None
    reference: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    format: Annotated[int, Meta(ge=1)] = 1

    @property
    def served_task(self) -> str:
        """The task in whose terms /predict answers: `tensor` where the package lacks what its own task requires."""
        task = TASKS.get(self.task)
        for member in task.required if task else ():
            if getattr(self, member) is None:
                return TENSOR
        return self.task

    @property
    def input_kind(self) -> str | None:
        """What /predict takes: image, text, audio or table. None for tensors, and for a task of another release."""
        if self.preprocess is not None:
            return str(self.preprocess.__struct_config__.tag)
        task = TASKS.get(self.served_task)
        return task.preprocess[0] if task and task.preprocess else None


MAX_STORED = 8 * MiB  # bytes of a registered manifest; the checks take no package that would make a larger one
INDENTED = MiB // 4  # bytes up to which the stored form is written for people to read

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # editors of Windows begin a file with it

# made once, before any thread: see state.py
DECODER = msgspec.json.Decoder(dict[str, Any])


def decode(body: bytes, *, check_names: bool = False) -> Manifest:
    """Parse an `amaas.json`. Raises BadInput that names the member and what is wrong with it.

    check_names: of an upload. Its size and members have to keep the bounds of bounds.py; unknown tasks are refused, and
    members that look like a misspelled one; a few other unknown members are for later releases, and ignored.
    """
    if len(body) > MAX_STORED:
        raise BadInput(f"amaas.json has {len(body):,} bytes, more than the {MAX_STORED:,} that any package has")
    body = body.removeprefix(BYTE_ORDER_MARK)
    try:
        return _decode_upload(body) if check_names else _convert(DECODER.decode(body))
    except msgspec.ValidationError as error:
        raise BadInput(f"amaas.json does not fit its schema: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"amaas.json is not valid JSON: {json_faults.reason(body, error)}") from error


def _convert(members: dict[str, Any]) -> Manifest:
    _check_format(members.get("format"))
    return msgspec.convert(fill_kinds(members), Manifest)


def _decode_upload(body: bytes) -> Manifest:
    from shared.package import bounds  # not for serving, whose cold start would wait for it

    bounds.check_size(len(body))
    members = DECODER.decode(body.removeprefix(BOM_UTF8))  # as Notepad and PowerShell write it
    bounds.check_members(members)
    _check_names(members, bounds.MAX_UNKNOWN)
    declared = _convert(members)
    bounds.check(declared)
    return declared


def decode_stored(body: bytes, what: str) -> Manifest:
    """The manifest of a registered version, which the gate has found right: what cannot be read is of a later release.

    what: the version, as the beginning of a sentence. Raises TooNew.
    """
    try:
        return decode(body)
    except BadInput as error:
        raise formats.TooNew(
            f"{what} has a manifest that this release cannot read ({error}): deploy the release that registered it, "
            "or a later one, or use another version"
        ) from error


def _check_format(number: Any) -> None:
    if isinstance(number, int) and number > formats.MANIFEST:
        raise BadInput(
            f"amaas.json has format {number}, and this deployment reads formats up to {formats.MANIFEST}: "
            "deploy a later release, or write the package for this one"
        )


def _check_names(members: dict[str, Any], most_unknown: int) -> None:
    from difflib import get_close_matches

    task = members.get("task", TENSOR)
    if isinstance(task, str) and task not in TASKS:
        raise BadInput(
            f"amaas.json: there is no task {task[:50]!r}; there are {', '.join(TASKS)}. Name one "
            "of them, or omit `task`: then the model takes and gives tensors"
        )
    unknown = [name for name in members if name not in Manifest.__struct_fields__]
    if len(unknown) > most_unknown:
        raise BadInput(
            f"amaas.json has {len(unknown):,} members that nothing reads, at most {most_unknown} are allowed: "
            f"remove {unknown[0][:50]!r} and the others"
        )
    for name in unknown:
        # a name much longer than any of ours resembles none, and would only take time
        for suggestion in get_close_matches(name[:50].lower(), Manifest.__struct_fields__, 1, 0.8):
            raise BadInput(f"amaas.json has a member {name[:50]!r}, which nothing reads: did you mean {suggestion!r}?")


msgspec.convert({}, Manifest)  # the type is read here, before any thread: see state.py


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is stored: JSON, always with its format."""
    body = msgspec.json.encode({"format": manifest.format} | msgspec.to_builtins(manifest))
    return msgspec.json.format(body, indent=1) if len(body) <= INDENTED else body


def narrow(declared: list[Tensor], graph: list[Tensor], what: str) -> list[Tensor]:
    """The graph's tensors, with their shapes narrowed to what the package declares.

    Declared tensors must be the graph's own, by name and datatype, and may only fix dimensions that vary.
    Raises BadInput naming the first that does not agree.
    """
    in_graph = {tensor.name: tensor for tensor in graph}
    in_package = {tensor.name: tensor for tensor in declared}
    for name, tensor in in_package.items():
        if name not in in_graph:
            raise BadInput(f"amaas.json names the {what} {name!r}, which the model lacks: it has {sorted(in_graph)}")
        _require_agreement(tensor, in_graph[name], what)
    return [in_package.get(tensor.name, tensor) for tensor in graph]


def _require_agreement(declared: Tensor, graph: Tensor, what: str) -> None:
    fits = len(declared.shape) == len(graph.shape) and all(
        g == -1 or d == g for d, g in zip(declared.shape, graph.shape, strict=True)
    )
    if declared.datatype != graph.datatype or not fits:
        raise BadInput(
            f"amaas.json declares the {what} {graph.name!r} as {declared.datatype} {declared.shape}, "
            f"the model has {graph.datatype} {graph.shape}"
        )
