"""A package under check, and what of it will be served: model, manifest, and the files beside them.

Used for an upload's files, and for those of a version that is checked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.config import MiB
from shared.errors import AmaasError, BadInput
from shared.ingest import supervisor
from shared.ingest.supervisor import check_decoder, check_model, smoke_test
from shared.ingest.verdict import Limits, Refused, Verdict
from shared.package import manifest, processing
from shared.package.manifest import Manifest, Tensor
from shared.package.tasks import DECODED
from shared.registry import blobs, withdrawn
from shared.registry.log import Log
from shared.registry.state import Version
from shared.runtime import samples
from shared.serving import forms, tasks
from shared.signing import model_signing
from shared.storage.base import Store
from shared.uploads.sessions import MANIFEST_FILE, MODEL_FILE

# The model as it will be served, for the smoke test. No file of a package may start with a dot, so no name can clash.
OPTIMIZED_FILE = ".served.onnx"
MAX_EXTRA_FILE = 64 * MiB  # bytes of a tokenizer, or of reference rows


class Rejected(Exception):
    """The package is not fit to serve. code: stable, for programs; the message: for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Stored(Struct, frozen=True):
    """Bytes that are a blob already."""

    digest: str


Content = bytes | Path | Stored


class Candidate(Struct, frozen=True):
    """A package that passed all checks.

    source: the model as it was uploaded. model: as it will be served. files: the others that serving needs, by name.
    size: bytes of what is loaded. Files that a Content names have to be there until they are stored.
    """

    manifest: Manifest
    source: Content
    model: Content
    files: dict[str, Content]
    size: int


def read_manifest(path: Path, limits: Limits) -> Manifest:
    """An uploaded amaas.json, decoded in a confined process. Raises Rejected."""
    try:
        return supervisor.read_manifest(path, limits)
    except Refused as refusal:
        raise Rejected(refusal.code, str(refusal)) from refusal


def read_declared(model: str, files: Mapping[str, Path], limits: Limits) -> Manifest:
    """What a package declares, all of whose files are there. model: its name. Raises Rejected."""
    if MANIFEST_FILE not in files:
        return Manifest(name=model)
    declared = read_manifest(files[MANIFEST_FILE], limits)
    for name in processing.files(declared.preprocess, declared.postprocess):
        if name not in files:
            raise Rejected("bad_manifest", f"amaas.json names the file {name!r}, which is not in the package; add it")
        if files[name].stat().st_size > MAX_EXTRA_FILE:
            raise Rejected(
                "too_large",
                f"{name} has more than {MAX_EXTRA_FILE:,} bytes, the limit for files beside the model; make it smaller",
            )
    return declared


def check_package(model: str, declared: Manifest, files: Mapping[str, Path], limits: Limits, folder: Path) -> Candidate:
    """Run all checks on a package, in confined processes. Raises Rejected.

    model: the name to register it under. files: with all that `declared` names. folder: writable, for temporary files.
    """
    if declared.served_task in DECODED:
        return _check_decoder(model, declared, files, limits, folder)
    verdict = check_model(
        {name: path for name, path in files.items() if name != MANIFEST_FILE}, msgspec.to_builtins(declared), limits
    )
    if not verdict.accepted:
        raise Rejected(verdict.code, verdict.reason)
    completed = _complete(model, declared, verdict)
    if tasks.in_own_terms(completed):
        completed = _run_smoke_test(completed, files, verdict, limits, folder)
    source = files[MODEL_FILE].read_bytes()
    named = processing.files(completed.preprocess, completed.postprocess)
    extra: dict[str, Content] = {name: files[name] for name in named}
    if verdict.samples is not None:
        extra[samples.FILE] = verdict.samples
    if verdict.wide is not None:
        extra[forms.WIDE] = verdict.wide
    served = verdict.optimized or source
    return Candidate(completed, source, served, extra, len(served))


def _check_decoder(
    model: str, declared: Manifest, files: Mapping[str, Path], limits: Limits, folder: Path
) -> Candidate:
    """Of a package whose texts are made token by token: weights stay in files of their own. Raises Rejected."""
    package = {name: path for name, path in files.items() if name != MANIFEST_FILE}
    spill = folder / forms.WEIGHTS
    verdict = check_decoder(package, msgspec.to_builtins(declared), spill, limits)
    if not verdict.accepted:
        raise Rejected(verdict.code, verdict.reason)
    completed = _complete(model, declared, verdict)
    present = {**files, forms.WEIGHTS: spill}
    extra: dict[str, Content] = {
        name: present[name]
        for name in (*processing.files(completed.preprocess, completed.postprocess), *verdict.weights)
    }
    extra |= {name: graph or files[name] for name, graph in verdict.graphs.items()}
    served: Content = files[MODEL_FILE] if verdict.optimized is None else verdict.optimized
    size = sum(present[name].stat().st_size for name in verdict.weights)
    size += files[MODEL_FILE].stat().st_size if verdict.optimized is None else len(verdict.optimized)
    size += sum(len(graph) or files[name].stat().st_size for name, graph in verdict.graphs.items())
    return Candidate(completed, files[MODEL_FILE], served, extra, size)


def store_blobs(log: Log, candidate: Candidate, upload: str) -> Version:
    """Write the blobs of a version, and describe it; the registry assigns the number, which is 0 here.

    upload: id of the upload that the package came with.
    """
    model = candidate.manifest.name or ""
    source, served = _store(log.store, candidate.source), _store(log.store, candidate.model)
    manifest_digest = blobs.write(log.store, manifest.encode(candidate.manifest))
    extra = {name: _store(log.store, content) for name, content in candidate.files.items()}
    return Version(
        version=0,
        task=candidate.manifest.task,
        manifest=manifest_digest,
        source=source,
        model=served,
        size=candidate.size,
        upload=upload,
        package=_sign(log, model, {MODEL_FILE: served, MANIFEST_FILE: manifest_digest, **extra}),
        files=extra,
    )


def _store(store: Store, content: Content) -> str:
    """The blob's digest."""
    if isinstance(content, Stored):
        return content.digest
    return blobs.write_file(store, str(content)) if isinstance(content, Path) else blobs.write(store, content)


def _run_smoke_test(
    completed: Manifest, files: Mapping[str, Path], verdict: Verdict, limits: Limits, folder: Path
) -> Manifest:
    """The manifest with the outcome of one prediction in the terms of its task. Raises Rejected."""
    model = files[MODEL_FILE]
    if verdict.optimized is not None:
        model = folder / OPTIMIZED_FILE
        model.write_bytes(verdict.optimized)
    extra = {name: files[name] for name in processing.files(completed.preprocess, completed.postprocess)}
    outcome = smoke_test({**extra, MODEL_FILE: model}, msgspec.to_builtins(completed), verdict.ran, limits)
    if not outcome.accepted:
        raise Rejected(outcome.code, outcome.reason)
    return msgspec.structs.replace(completed, gate={**(completed.gate or {}), "task": outcome.probe})


def _sign(log: Log, model: str, files: dict[str, str]) -> str | None:
    """Digest of the blob with the signature over the package as it is served; None if the deployment does not sign."""
    return blobs.write(log.store, model_signing.sign(log.signer, model, files)) if log.signer else None


def _complete(model: str, declared: Manifest, verdict: Verdict) -> Manifest:
    """The manifest to register: as declared, completed with the graph's signature and the gate's report.

    Its name is the one it was uploaded under: a package can be published under another name without editing it.
    Raises Rejected where the manifest contradicts the graph.
    """
    try:
        names = [[str(tensor["name"]) for tensor in tensors] for tensors in (verdict.inputs, verdict.outputs)]
        processing.check_names(declared.preprocess, declared.postprocess, *names)
    except BadInput as error:
        raise Rejected("bad_manifest", str(error)) from error
    try:
        inputs = manifest.narrow(declared.inputs, msgspec.convert(verdict.inputs, list[Tensor]), "input")
        outputs = manifest.narrow(declared.outputs, msgspec.convert(verdict.outputs, list[Tensor]), "output")
    except AmaasError as error:
        raise Rejected("signature_mismatch", str(error)) from error
    return _storable(
        msgspec.structs.replace(
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
                **({"generation": verdict.generation} if verdict.generation else {}),
            },
        )
    )


def _storable(completed: Manifest) -> Manifest:
    """The manifest, if it can be read once it is stored. Raises Rejected: a graph's labels and names have no schema."""
    try:
        manifest.decode(manifest.encode(completed))
    except BadInput as error:
        raise Rejected("bad_manifest", f"amaas.json, completed from the graph, cannot be stored: {error}") from error
    return completed
