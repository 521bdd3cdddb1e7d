"""The order of the checks, in the confined process.

Parse → scan → normalise → make portable → load → probe → compare with the reference → optimise → golden set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import onnx as onnx_package

from shared.errors import AmaasError
from shared.ingest import (
    descriptors,
    extremes,
    faithful,
    golden,
    graph,
    guards,
    normalize,
    optimize,
    portable,
    probe,
    reference,
    scan,
    weights,
)
from shared.ingest.verdict import Limits, Refused, Verdict
from shared.runtime import layout, onnx, processor, samples
from shared.runtime.datatypes import DATATYPES
from shared.runtime.samples import Sample

MODEL = "model.onnx"
# bytes from which it is worth a copy beside what was uploaded: below, mapping saves a cold start less than 5 ms
MAPPED = 4 << 20

# what is run then, and is told a function that notes, in words, what comes next
Later = Callable[[Callable[[str], None]], None]


def versions() -> dict[str, Any]:
    """Of what judges; and the processor, since what another kind answers is not known from here."""
    here = {"kind": processor.kind(), "features": processor.features()}
    return {"onnxruntime": onnx.VERSION, "onnx": onnx_package.__version__, "processor": here}


def judge(
    files: Mapping[str, int], golden_set: Mapping[str, Any] | None, limits: Limits, later: list[Later] | None = None
) -> Verdict:
    """The verdict on a package whose files are open. Raises Refused for one that is not fit to serve.

    later: gets what is to be run when the verdict is out, as it may end the process.
    """
    source, signed, facts, done, labels, floats = _prepared(files, limits)
    session = _loaded(source)
    _check_signature(session)
    cases = faithful.rows(session, files, golden_set, limits)
    ran = probe.probe(session, limits)
    if not ran and not cases:
        probe.check_runs(session, onnx.load(source, optimize="off"))
    inputs = [ran[0], *probe.varied(session, ran[0])] if ran else []
    compared = faithful.compare(floats, session, [*(case.inputs for case in cases), *inputs], limits)
    served, report = None, {"level": "extended", "kept": False, "why": "no made-up input runs, so none can be compared"}
    if ran:
        served, report = optimize.optimize(source, *ran, limits)
    if served:
        served = _in_place(served)
        try:
            session, passed = _replayed(served, files, golden_set, limits)
        except Refused as refused:
            served, report = None, report | {"kept": False, "why": f"the golden set: {refused}"}
    if not served:
        in_time = time.process_time() < limits.cpu / 2
        placed = _in_place(source) if in_time and (done or len(source) >= MAPPED) else source
        if placed is not source:
            del session  # two of them may not fit
            session, source = _loaded(placed), placed
            done.append("weights: put where they can be mapped into memory")
        session, passed = _golden(session, files, golden_set, limits, compared)
    kept = faithful.keep(session, cases, inputs, golden.tolerance(golden_set))
    wide = _wide(signed, ran[0] if served and ran else None, kept, limits) if signed else None
    if later is not None:
        later.append(partial(extremes.probe, session, ran[0] if ran else None, limits))
    return Verdict(
        accepted=True,
        code="accepted",
        reason="the model passed every check",
        inputs=[_described(spec) for spec in session.inputs],
        optional=[_described(spec) for spec in session.optional],
        outputs=[_described(spec) for spec in session.outputs],
        **facts,
        optimized=served or (source if done else None),
        wide=wide,
        optimization=report | {"normalized": done},
        golden=passed,
        probe="ran" if ran or passed else "inconclusive",
        ran={name: list(array.shape) for name, array in ran[0].items()} if ran else {},
        labels=labels,
        reference=compared,
        samples=samples.encode(kept) if kept else None,
    )


def _wide(signed: bytes, feeds: probe.Feeds | None, kept: Sequence[Sample], limits: Limits) -> bytes | None:
    """The form with signed weights, if it may be served: it must answer as the portable one, where it can be tried.

    feeds: inputs that it runs on, where the portable form was optimised: then this one is, too.
    """
    try:
        if feeds is not None:
            expected = onnx.load(signed).run(None, feeds)
            signed = optimize.optimize(signed, feeds, expected, limits, portable_form=False)[0] or signed
        placed = _in_place(signed)
        if processor.cuts_off_sums():
            return placed  # whoever serves it, on another kind of processor, tries it before
        if not kept or time.process_time() > limits.cpu / 2:
            return None
        return None if samples.replay(onnx.load(placed), kept, limits.cpu) else placed
    except (AmaasError, MemoryError):  # the portable form serves everywhere
        return None


def _golden(
    session: onnx.Session,
    files: Mapping[str, int],
    golden_set: Mapping[str, Any] | None,
    limits: Limits,
    compared: Mapping[str, Any],
) -> tuple[onnx.Session, dict[str, Any] | None]:
    """As `_replayed`. A golden set that contradicts the model's own arithmetic is told so."""
    try:
        return _replayed(session, files, golden_set, limits)
    except Refused as refused:
        if refused.code != "golden_mismatch" or not compared.get("compared"):
            raise
        raise Refused(
            refused.code,
            f"{refused}. The model itself is quantised, and answers here what its numbers add up to (to "
            f"{compared['noise']:.2%}): if they do belong together, the golden set was written by a processor that "
            "cuts off 8-bit sums, or with other optimisations; write it anew with all of them off (ORT_DISABLE_ALL)",
        ) from refused


def _in_place(model: bytes) -> bytes:
    """The model with its weights where they can be mapped (shared/runtime/layout.py), or as it is where that fails."""
    try:
        return layout.aligned(model)
    except (ValueError, MemoryError):
        return model


def _replayed(
    model: bytes | onnx.Session, files: Mapping[str, int], golden_set: Mapping[str, Any] | None, limits: Limits
) -> tuple[onnx.Session, dict[str, Any] | None]:
    session = _loaded(model) if isinstance(model, bytes) else model
    return session, golden.replay(session, files, golden_set, limits)


def _prepared(
    files: Mapping[str, int], limits: Limits
) -> tuple[bytes, bytes, dict[str, Any], list[str], list[str] | None, faithful.Floats]:
    """The model's bytes as they will be loaded, what the verdict says of its graph, what was changed, labels found.

    Second the bytes with signed weights, empty where they are no others. Last the reference: the model's arithmetic as
    it came, before it was made portable.
    """
    _check_size(files, limits)
    source = descriptors.read(files[MODEL])
    model = graph.parse(source)
    opset = {graph.normal(entry.domain) or "ai.onnx": entry.version for entry in model.opset_import}
    if not limits.scan:
        return source, b"", {"opset": opset, "nodes": len(model.graph.node)}, [], None, faithful.Floats()
    nodes = scan.check(model, files, limits)
    done = ["external data: put into the model"] if weights.inline(model, files) else []
    changed, labels = normalize.normalize(model)
    done += changed
    done += guards.guard(model)
    floats = faithful.floats(model, len(source))
    done += portable.keep_float_activations(model)
    two_forms = len(source) <= faithful.LARGEST and reference.is_quantised(model)
    signed = model.SerializeToString(deterministic=True) if two_forms else b""
    unsigned = portable.make_unsigned(model)
    done += unsigned
    operators, parameters = graph.census(model)
    facts = {"opset": opset, "nodes": nodes, "operators": operators, "parameters": parameters}
    signed = signed if unsigned else b""
    return (model.SerializeToString(deterministic=True) if done else source), signed, facts, done, labels, floats


def _check_size(files: Mapping[str, int], limits: Limits) -> None:
    size = sum(descriptors.size(descriptor) for name, descriptor in files.items() if name != golden.FILE)
    if size > limits.model_bytes:
        raise Refused(
            "too_large",
            f"the model has {size:,} bytes with its weights, more than {limits.model_bytes:,}; quantise or prune it",
        )


def _loaded(model: bytes) -> onnx.Session:
    try:
        return onnx.load(model)
    except onnx.Unloadable as error:
        if error.kind == "NotImplemented":
            raise Refused("operator_not_implemented", f"{error}; export the model with a newer opset") from error
        raise Refused("invalid_graph", f"{error}; export the model again") from error


def _check_signature(session: onnx.Session) -> None:
    if not session.outputs:
        raise Refused("invalid_graph", "the model has no outputs; export it again")
    for spec in (*session.inputs, *session.optional, *session.outputs):
        if spec.datatype not in DATATYPES:
            raise Refused(
                "unsupported_type",
                f"{spec.name!r} is of type {spec.datatype}, which no call can carry; cast it to a plain tensor type",
            )


def _described(spec: onnx.TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
