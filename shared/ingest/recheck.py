"""Versions that an older gate has let through are checked by the present one, from what the registry keeps of them.

The version keeps its number and its origin; what is served of it, and what is said of it, is what the present gate
makes of its source. One that would be refused today stays in the registry, is no longer served, and says why. Its
golden set is not kept by the registry, but for the cases that amaas.json writes out.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.errors import AmaasError
from shared.ingest.candidate import Candidate, Rejected, judge, store
from shared.ingest.verdict import Limits
from shared.package import manifest, processing
from shared.package.manifest import Manifest
from shared.registry import blobs, catalogue, versions, withdrawn
from shared.registry.log import Log
from shared.registry.state import Act, Head, Version
from shared.runtime import samples
from shared.uploads.sessions import MODEL_FILE

logger = logging.getLogger(__name__)

ACT = Act(by="gate", reason="checked again by a newer gate")


class Outcome(Struct, frozen=True):
    """refused: why the version is not served any more; None where it passed."""

    model: str
    version: int
    refused: str | None = None


def outdated(described: Manifest) -> bool:
    """Whether a gate has written this manifest that judged by earlier rules."""
    return int((described.gate or {}).get("edition", 1)) < withdrawn.EDITION


def older(log: Log, limits: Limits, seconds: float) -> list[Outcome]:
    """Check versions again whose gate was older, first those that aliases name. None is begun after so many seconds."""
    until = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    for name in catalogue.names(log.store):
        try:
            head = log.read(name)
            for version in _in_order(head):
                if time.monotonic() > until:
                    return outcomes
                # whatever has samples was checked by a gate that looks at processors
                if samples.FILE not in version.files and outdated(
                    manifest.decode(blobs.read(log.store, version.manifest))
                ):
                    outcomes.append(again(log, name, version, limits))
        except AmaasError as error:  # of one model, which must not keep the others waiting
            logger.warning("not checked again", extra={"model": name, "why": str(error)})
    return outcomes


def _in_order(head: Head) -> list[Version]:
    """The versions that can be called, and are at hand."""
    if not head.alive:
        return []
    named = {number for alias in head.aliases.values() for number in alias.target.numbers}
    callable_ = [version for number, version in head.versions.items() if number not in head.retired]
    return sorted(callable_, key=lambda version: (version.version not in named, -version.version))


def again(log: Log, model: str, version: Version, limits: Limits) -> Outcome:
    """Check one version, and have the registry say what came of it. Raises AmaasError when it could not be checked."""
    described = manifest.decode(blobs.read(log.store, version.manifest))
    refused = None
    try:
        candidate = _judged(log, model, version, described, limits)
    except Rejected as error:
        refused = str(error)
        candidate = _withdrawn(log, version, described, error)
    served = store(log, candidate, version.upload)
    versions.recheck(log, model, msgspec.structs.replace(served, version=version.version), ACT)
    return Outcome(model, version.version, refused)


def _judged(log: Log, model: str, version: Version, described: Manifest, limits: Limits) -> Candidate:
    with tempfile.TemporaryDirectory(prefix="amaas-recheck-") as folder:
        files = {MODEL_FILE: Path(folder) / MODEL_FILE}
        blobs.download(log.store, version.source, str(files[MODEL_FILE]))
        for name in processing.files(described.preprocess):
            files[name] = Path(folder) / name
            blobs.download(log.store, version.files[name], str(files[name]))
        declared = msgspec.structs.replace(described, golden=_written_out(described), gate=None)
        return judge(model, declared, files, limits, Path(folder))


def _written_out(described: Manifest) -> manifest.Golden | None:
    golden = described.golden
    return msgspec.structs.replace(golden, file=None) if golden and golden.cases else None


def _withdrawn(log: Log, version: Version, described: Manifest, error: Rejected) -> Candidate:
    """The version as it was, with the reason for which it is not served any more."""
    gate = (described.gate or {}) | {
        "edition": withdrawn.EDITION,
        "refused": {"code": error.code, "reason": str(error)},
    }
    kept = {name: blobs.read(log.store, digest) for name, digest in version.files.items() if not name.startswith(".")}
    model = blobs.read(log.store, version.model)
    return Candidate(msgspec.structs.replace(described, gate=gate), blobs.read(log.store, version.source), model, kept)
