"""Rechecks: the present checks run on versions that older ones accepted, from the files in the registry.

The version keeps its number and its origin; its served model and its manifest are replaced by what the present checks
make of its source. A version that is rejected now stays in the registry, is no longer served, and its manifest says
why. Of the golden set, the registry stores only the cases that are written out in amaas.json.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.errors import AmaasError
from shared.ingest.candidate import Candidate, Rejected, check_package, store_blobs
from shared.ingest.verdict import Limits
from shared.package import manifest, processing
from shared.package.manifest import Manifest
from shared.registry import blobs, catalog, versions, withdrawn
from shared.registry.log import Log
from shared.registry.state import Change, Head, Version
from shared.runtime import samples
from shared.uploads.sessions import MODEL_FILE

logger = logging.getLogger(__name__)

CHANGE = Change(by="gate", reason="checked again by a newer gate")


class Outcome(Struct, frozen=True):
    """Of one recheck. refused: why the version is no longer served; None if it passed."""

    model: str
    version: int
    refused: str | None = None


def outdated(described: Manifest) -> bool:
    """Whether a version with this manifest was accepted by earlier rules."""
    return int((described.gate or {}).get("edition", 1)) < withdrawn.EDITION


def check_outdated(log: Log, limits: Limits, seconds: float) -> list[Outcome]:
    """Recheck outdated versions, those that aliases point to first. No recheck is begun after so many seconds.

    An error in one model is logged and does not stop the others: the next call tries that model again.
    """
    deadline = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    for name in catalog.list_names(log.store):
        try:
            head = log.read(name)
            for version in _in_order(head):
                if time.monotonic() > deadline:
                    return outcomes
                # a version with samples is recent: this saves reading its manifest
                if samples.FILE not in version.files and outdated(
                    manifest.decode(blobs.read(log.store, version.manifest))
                ):
                    outcomes.append(recheck(log, name, version, limits))
        except AmaasError as error:
            logger.warning("not checked again", extra={"model": name, "why": str(error)})
        except Exception:  # a fault of ours that one model brings out must not leave the models behind it unchecked
            logger.exception("not checked again", extra={"model": name})
    return outcomes


def _in_order(head: Head) -> list[Version]:
    """The callable versions among the head's own, those that aliases point to first, then the newest first."""
    if not head.alive:
        return []
    aliased = {number for alias in head.aliases.values() for number in alias.target.numbers}
    callable_ = [version for number, version in head.versions.items() if number not in head.retired]
    return sorted(callable_, key=lambda version: (version.version not in aliased, -version.version))


def recheck(log: Log, model: str, version: Version, limits: Limits) -> Outcome:
    """Check one version, and record the outcome in the registry. Raises AmaasError if it could not be checked."""
    described = manifest.decode(blobs.read(log.store, version.manifest))
    refused = None
    try:
        candidate = _check_source(log, model, version, described, limits)
    except Rejected as error:
        refused = str(error)
        candidate = _withdraw(log, version, described, error)
    served = store_blobs(log, candidate, version.upload)
    versions.recheck(log, model, msgspec.structs.replace(served, version=version.version), CHANGE)
    return Outcome(model, version.version, refused)


def _check_source(log: Log, model: str, version: Version, described: Manifest, limits: Limits) -> Candidate:
    with tempfile.TemporaryDirectory(prefix="amaas-recheck-") as folder:
        files = {MODEL_FILE: Path(folder) / MODEL_FILE}
        blobs.download(log.store, version.source, str(files[MODEL_FILE]))
        for name in processing.files(described.preprocess, described.postprocess):
            files[name] = Path(folder) / name
            blobs.download(log.store, version.files[name], str(files[name]))
        declared = msgspec.structs.replace(described, golden=_inline_golden_set(described), gate=None)
        tolerant = msgspec.structs.replace(limits, any_tolerance=True)  # no reason to take a served version away
        return check_package(model, declared, files, tolerant, Path(folder))


def _inline_golden_set(described: Manifest) -> manifest.Golden | None:
    """The golden set without its file, which the registry does not store."""
    golden = described.golden
    return msgspec.structs.replace(golden, file=None) if golden and golden.cases else None


def _withdraw(log: Log, version: Version, described: Manifest, error: Rejected) -> Candidate:
    """The version as it was, with the reason why it is no longer served."""
    gate = (described.gate or {}) | {
        "edition": withdrawn.EDITION,
        "refused": {"code": error.code, "reason": str(error)},
    }
    # without samples and wide form, whose names start with a dot: they were derived from a model that is not served
    files = {name: blobs.read(log.store, digest) for name, digest in version.files.items() if not name.startswith(".")}
    model = blobs.read(log.store, version.model)
    return Candidate(msgspec.structs.replace(described, gate=gate), blobs.read(log.store, version.source), model, files)
