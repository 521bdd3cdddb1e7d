"""A package that is judged, and what of it will be served: model, manifest, and the files beside them.

Whoever has a package's files on the disk asks here: an upload's, or those of a version that is checked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.errors import AmaasError, BadInput
from shared.ingest.supervisor import examine, rehearse
from shared.ingest.verdict import Limits, Verdict
from shared.package import manifest, processing
from shared.package.manifest import Manifest, Tensor
from shared.registry import blobs, withdrawn
from shared.registry.log import Log
from shared.registry.state import Version
from shared.runtime import samples
from shared.serving import forms, tasks
from shared.signing import model_signing
from shared.uploads.sessions import MANIFEST_FILE, MODEL_FILE


class Rejected(Exception):
    """The package is not fit to serve. code: stable, for programs; the message: for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Candidate(Struct, frozen=True):
    """What has passed. source: the model as it came. model: as it is served. files: the others that serving needs."""

    manifest: Manifest
    source: bytes
    model: bytes
    files: dict[str, bytes]


def judge(model: str, declared: Manifest, files: Mapping[str, Path], limits: Limits, folder: Path) -> Candidate:
    """Have a package checked, in a confined process. Raises Rejected.

    model: the name that it gets. files: with all that `declared` names. folder: where more files may be written.
    """
    verdict = examine(
        {name: path for name, path in files.items() if name != MANIFEST_FILE}, msgspec.to_builtins(declared), limits
    )
    if not verdict.accepted:
        raise Rejected(verdict.code, verdict.reason)
    settled = _rehearsed(_settled(model, declared, verdict), files, verdict, limits, folder)
    source = files[MODEL_FILE].read_bytes()
    beside = {name: files[name].read_bytes() for name in processing.files(settled.preprocess)}
    if verdict.samples is not None:
        beside[samples.FILE] = verdict.samples
    if verdict.wide is not None:
        beside[forms.WIDE] = verdict.wide
    return Candidate(settled, source, verdict.optimized or source, beside)


def store(log: Log, candidate: Candidate, upload: str) -> Version:
    """Write what a version consists of, and describe it; its number is 0 as yet. upload: the one that it came with."""
    model = candidate.manifest.name or ""
    source, served = blobs.write(log.store, candidate.source), blobs.write(log.store, candidate.model)
    described = blobs.write(log.store, manifest.encode(candidate.manifest))
    beside = {name: blobs.write(log.store, body) for name, body in candidate.files.items()}
    return Version(
        version=0,
        task=candidate.manifest.task,
        manifest=described,
        source=source,
        model=served,
        size=len(candidate.model),
        upload=upload,
        package=_signature(log, model, {MODEL_FILE: served, MANIFEST_FILE: described, **beside}),
        files=beside,
    )


def _rehearsed(
    settled: Manifest, files: Mapping[str, Path], verdict: Verdict, limits: Limits, folder: Path
) -> Manifest:
    """The manifest, with the outcome of one prediction in the task's own terms where it has such."""
    if not tasks.in_own_terms(settled):
        return settled
    served = files[MODEL_FILE]
    if verdict.optimized is not None:
        served = folder / ".served.onnx"  # no file of a package is called so
        served.write_bytes(verdict.optimized)
    beside = {name: files[name] for name in processing.files(settled.preprocess)}
    outcome = rehearse({**beside, MODEL_FILE: served}, msgspec.to_builtins(settled), verdict.ran, limits)
    if not outcome.accepted:
        raise Rejected(outcome.code, outcome.reason)
    return msgspec.structs.replace(settled, gate={**(settled.gate or {}), "task": outcome.probe})


def _signature(log: Log, model: str, files: dict[str, str]) -> str | None:
    """The blob with the signature over the package as it is served, where the deployment signs."""
    return blobs.write(log.store, model_signing.sign(log.signer, model, files)) if log.signer else None


def _settled(model: str, declared: Manifest, verdict: Verdict) -> Manifest:
    """The manifest that is served: what was declared, with the graph's own signature and what the gate found.

    Its name is the one it was uploaded under, so that a package can be published under another name as it is.
    """
    try:
        names = [[str(tensor["name"]) for tensor in tensors] for tensors in (verdict.inputs, verdict.outputs)]
        processing.check(declared.preprocess, declared.postprocess, *names)
    except BadInput as error:
        raise Rejected("bad_manifest", str(error)) from error
    try:
        inputs = manifest.narrow(declared.inputs, msgspec.convert(verdict.inputs, list[Tensor]), "input")
        outputs = manifest.narrow(declared.outputs, msgspec.convert(verdict.outputs, list[Tensor]), "output")
    except AmaasError as error:
        raise Rejected("signature_mismatch", str(error)) from error
    return msgspec.structs.replace(
        declared,
        name=model,
        inputs=inputs,
        outputs=outputs,
        optional=msgspec.convert(verdict.optional, list[Tensor]),
        labels=declared.labels or verdict.labels or [],
        gate={
            "edition": withdrawn.EDITION,
            "optimization": verdict.optimization,
            "golden": verdict.golden,
            "reference": verdict.reference,
            "probe": verdict.probe,
            "opset": verdict.opset,
            "nodes": verdict.nodes,
            "operators": verdict.operators,
            "parameters": verdict.parameters,
            "runtime": verdict.runtime,
        },
    )
