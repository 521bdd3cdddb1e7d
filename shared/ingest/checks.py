"""The checks of a model, in the confined process.

Parse → scan → normalize → guard → make portable → load → probe run → comparison with the reference → optimize → golden
set → samples → wide form; extreme calls follow when the verdict is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx as onnx_package
from msgspec import Struct
from msgspec.structs import replace

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
from shared.ingest.verdict import ExtremeCalls, Limits, Refused, Verdict
from shared.runtime import layout, onnx, processor, samples
from shared.runtime.datatypes import DATATYPES
from shared.runtime.samples import Sample

MODEL = "model.onnx"
# Bytes from which an aligned copy is worth storing beside the upload: below, mapping saves a cold start less than 5 ms.
MAPPED = 4 << 20


class Package(Struct, frozen=True):
    """What is checked. files: name → open descriptor. golden_set: the member of amaas.json, if it has one.

    peak: the largest memory of this process so far, in bytes.
    """

    files: Mapping[str, int]
    golden_set: Mapping[str, Any] | None
    limits: Limits
    peak: Callable[[], int]


class Prepared(Struct, frozen=True):
    """A model that passed the scan, rewritten into the portable form.

    body: the form that is loaded. signed: the form with signed 8-bit weights; empty if there is no second form.
    facts: members of the verdict about the graph. changes: made by the rewriting, in words; none if body is the
    uploaded file. labels: of a removed ZipMap. exact: the model's own arithmetic, from before it was made portable.
    """

    body: bytes
    signed: bytes
    facts: dict[str, Any]
    changes: list[str]
    labels: list[str] | None
    exact: faithful.FloatModel


class ProbeRun(Struct, frozen=True):
    """Generated inputs that the model ran on, and its outputs. variants: the same shapes with other values."""

    feeds: probe.Feeds
    outputs: list[np.ndarray]
    variants: list[probe.Feeds]


class Served(Struct, frozen=True):
    """The form to serve. body: None for the uploaded file. golden: report of the golden set, if the package has one."""

    body: bytes | None
    session: onnx.Session
    optimization: dict[str, Any]
    golden: dict[str, Any] | None


def versions() -> dict[str, Any]:
    """Of the libraries that decide the verdict, and the kind of processor: another kind may give other answers."""
    here = {"kind": processor.kind(), "features": processor.features()}
    return {"onnxruntime": onnx.VERSION, "onnx": onnx_package.__version__, "processor": here}


def check_model(package: Package, extreme_calls: list[ExtremeCalls]) -> Verdict:
    """The verdict on a package. Raises Refused if its model is not fit to serve.

    extreme_calls: gets the calls to make after the verdict is written, as they may end the process.
    """
    limits = package.limits
    prepared = _prepare(package)
    session = _load(prepared.body)
    _check_signature(session)
    cases = faithful.golden_rows(session, package.files, package.golden_set, limits)
    probe_run = _run_probe(session, prepared.body, limits, required=not cases)
    inputs = [probe_run.feeds, *probe_run.variants] if probe_run else []
    comparison = faithful.compare(prepared.exact, session, [*(case.inputs for case in cases), *inputs], limits)
    served, optimization = _serve_optimized(package, prepared.body, probe_run)
    if served is None:
        aligned = _align(prepared, limits)
        if aligned is not prepared:
            del session  # two sessions of a large model may not fit into the memory of the check
            prepared, session = aligned, _load(aligned.body)
        golden_report = _replay_golden(package, session, comparison)
        served = Served(prepared.body if prepared.changes else None, session, optimization, golden_report)
    del session  # only the session of the served form is needed from here on
    chosen = faithful.choose_samples(served.session, cases, inputs, golden.tolerance(package.golden_set))
    wide = _wide_form(prepared.signed, probe_run if served.optimization["kept"] else None, chosen, limits)
    feeds = probe_run.feeds if probe_run else None
    extreme_calls.append(partial(extremes.run_calls, served.session, feeds, limits, package.peak))
    return _accept(prepared, served, probe_run, comparison, chosen, wide)


def _prepare(package: Package) -> Prepared:
    files, limits = package.files, package.limits
    _check_size(files, limits)
    source = descriptors.read(files[MODEL])
    model = graph.parse(source)
    opset = {graph.normal(entry.domain) or "ai.onnx": entry.version for entry in model.opset_import}
    if not limits.scan:  # a test shows that the sandbox alone contains the model: nothing here may stop it first
        return Prepared(source, b"", {"opset": opset, "nodes": len(model.graph.node)}, [], None, faithful.FloatModel())
    nodes = scan.check(model, files, limits)
    changes = ["external data: put into the model"] if weights.inline(model, files) else []
    normalized, labels = normalize.normalize(model)
    changes += normalized + guards.guard(model)
    # before the model is made portable: that rewriting is among the things the reference has to judge
    exact = faithful.float_model(model, len(source))
    changes += portable.keep_float_activations(model)
    two_forms = len(source) <= faithful.LARGEST and reference.is_quantized(model)
    signed = model.SerializeToString(deterministic=True) if two_forms else b""
    unsigned = portable.make_unsigned(model)
    changes += unsigned
    operators, parameters = graph.census(model)
    facts = {"opset": opset, "nodes": nodes, "operators": operators, "parameters": parameters}
    body = model.SerializeToString(deterministic=True) if changes else source
    return Prepared(body, signed if unsigned else b"", facts, changes, labels, exact)


def _run_probe(session: onnx.Session, body: bytes, limits: Limits, *, required: bool) -> ProbeRun | None:
    """None if the model ran on no generated input.

    required: there is no golden set to show that the model runs at all. Raises Refused if then nobody could run it.
    """
    first = probe.probe(session, limits)
    if first is None:
        if required:
            probe.check_runs(session, onnx.load(body, optimize="off"))
        return None
    feeds, outputs = first
    return ProbeRun(feeds, outputs, probe.varied(session, feeds))


def _serve_optimized(package: Package, body: bytes, probe_run: ProbeRun | None) -> tuple[Served | None, dict[str, Any]]:
    """The optimized form, None if it may not be served; and the report of the optimization."""
    if probe_run is None:
        why = "the model ran on no generated input, so outputs cannot be compared"
        return None, {"level": "extended", "kept": False, "why": why}
    optimized, report = optimize.optimize(body, probe_run.feeds, probe_run.outputs, package.limits)
    if not optimized:
        return None, report
    optimized = _align_weights(optimized)
    try:
        session = _load(optimized)
        golden_report = golden.replay(session, package.files, package.golden_set, package.limits)
    except Refused as refusal:
        return None, report | {"kept": False, "why": f"the golden set: {refusal}"}
    return Served(optimized, session, report, golden_report), report


def _align(prepared: Prepared, limits: Limits) -> Prepared:
    """The model with aligned weights where that is worth a stored copy; `prepared` itself otherwise."""
    worth_it = prepared.changes or len(prepared.body) >= MAPPED
    if not worth_it or time.process_time() >= limits.cpu / 2:
        return prepared
    body = _align_weights(prepared.body)
    if body is prepared.body:
        return prepared
    changes = [*prepared.changes, "weights: put where they can be mapped into memory"]
    return replace(prepared, body=body, changes=changes)


def _align_weights(model: bytes) -> bytes:
    """The model with its weights where they can be mapped (shared/runtime/layout.py); unchanged if that fails."""
    try:
        return layout.aligned(model)
    except (ValueError, MemoryError):
        return model


def _replay_golden(package: Package, session: onnx.Session, comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """As `golden.replay`; a mismatch of a model that agrees with its own arithmetic gets the likely cause added."""
    try:
        return golden.replay(session, package.files, package.golden_set, package.limits)
    except Refused as refusal:
        if refusal.code != "golden_mismatch" or not comparison.get("compared"):
            raise
        raise Refused(
            refusal.code,
            f"{refusal}. The model itself is quantized, and its outputs here agree with its own arithmetic (to "
            f"{comparison['noise']:.2%}): if golden set and model do belong together, the golden set was written on a "
            "processor that cuts off 8-bit sums, or with other optimizations; write it again with all optimizations "
            "off (ORT_DISABLE_ALL)",
        ) from refusal


def _wide_form(signed: bytes, probe_run: ProbeRun | None, chosen: Sequence[Sample], limits: Limits) -> bytes | None:
    """The form with signed weights; None if there is none, or if it does not answer as the portable form.

    probe_run: None if the portable form was not optimized: then this one is not, either.
    """
    if not signed:
        return None
    try:
        if probe_run is not None:
            expected = onnx.load(signed).run(None, probe_run.feeds)
            signed = optimize.optimize(signed, probe_run.feeds, expected, limits, portable_form=False)[0] or signed
        aligned = _align_weights(signed)
        if processor.cuts_off_sums():
            return aligned  # it cannot be tried here: inference replays the samples before it serves this form
        if not chosen or time.process_time() > limits.cpu / 2:
            return None
        return None if samples.replay(onnx.load(aligned), chosen, limits.cpu) else aligned
    except (AmaasError, MemoryError):  # no loss: the portable form serves everywhere
        return None


def _accept(
    prepared: Prepared,
    served: Served,
    probe_run: ProbeRun | None,
    comparison: dict[str, Any],
    chosen: list[Sample],
    wide: bytes | None,
) -> Verdict:
    session = served.session
    return Verdict(
        accepted=True,
        code="accepted",
        reason="the model passed every check",
        inputs=[_described(spec) for spec in session.inputs],
        optional=[_described(spec) for spec in session.optional],
        outputs=[_described(spec) for spec in session.outputs],
        **prepared.facts,
        optimized=served.body,
        wide=wide,
        optimization=served.optimization | {"normalized": prepared.changes},
        golden=served.golden,
        probe="ran" if probe_run or served.golden else "inconclusive",
        ran={name: list(array.shape) for name, array in probe_run.feeds.items()} if probe_run else {},
        labels=prepared.labels,
        reference=comparison,
        samples=samples.encode(chosen) if chosen else None,
    )


def _check_size(files: Mapping[str, int], limits: Limits) -> None:
    size = sum(descriptors.size(descriptor) for name, descriptor in files.items() if name != golden.FILE)
    if size > limits.model_bytes:
        raise Refused(
            "too_large",
            f"the model has {size:,} bytes with its weights, more than the {limits.model_bytes:,} allowed; quantize or "
            "prune it",
        )


def _load(model: bytes) -> onnx.Session:
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
