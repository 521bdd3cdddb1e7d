"""Models: looked up, described, edited, deleted and restored; their manifests and their history."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import msgspec

from shared import keys
from shared.errors import BadInput, Conflict, NotFound
from shared.package import manifest as manifests
from shared.package.manifest import Manifest
from shared.registry import blobs
from shared.registry.log import Log
from shared.registry.state import PRODUCTION, Change, Head, Record, Version
from shared.signing import model_signing

# seconds: deletions cannot be undone so close to the end of the grace period, when a collection may be running
MARGIN = 3600.0


def get(log: Log, model: str) -> Head:
    """The present state of a model. Raises NotFound."""
    return log.read(keys.model_name(model)).require_existing()


def manifest(log: Log, version: Version) -> Manifest:
    """The manifest of a version, as registered. Raises TooNew, Unavailable."""
    return manifests.decode_stored(blobs.read(log.store, version.manifest), f"version {version.version} of this model")


def representative_version(head: Head) -> Version:
    """The version that represents a model in listings: production's, else the latest."""
    alias = head.aliases.get(PRODUCTION)
    return head.versions[alias.version if alias else head.latest]


def card(log: Log, head: Head, manifest: Manifest) -> str | None:
    """The model card: as edited, else that of the package. manifest: of the representative version."""
    if head.edited is None:
        return manifest.card
    records = log.records(head.model, head.edited, head.edited)
    return records[0].card if records else None


def signature(log: Log, version: Version) -> dict[str, Any]:
    """The OpenSSF signature of a version's package: the bundle, the digests of signed files, the trusted public keys.

    Raises NotFound for a version that was registered without a signature.
    """
    if version.package is None:
        raise NotFound(
            f"version {version.version} is not signed: the deployment had no signing key "
            "when it was registered; push the model again to get a signed version"
        )
    return {
        "bundle": msgspec.json.decode(blobs.read(log.store, version.package)),
        "files": {"model.onnx": version.model, "amaas.json": version.manifest, **version.files},
        "public_keys": [model_signing.pem(key).decode() for key in log.trusted],
    }


def get_with_deleted(log: Log, model: str) -> Head:
    """As `get`, for deleted models, too: their history stays. Raises NotFound for a name that was never used."""
    head = log.read(keys.model_name(model))
    return head if head.revision else head.require_existing()


def history(
    log: Log, model: str, newest: int, *, before: int | None = None, limit: int = 50
) -> tuple[list[Record], int | None]:
    """Records newest first, below revision `before`; and the `before` of the next page, or None at the end.

    newest: the model's revision. Missing and damaged records are omitted: verify.py reports them.
    """
    start = newest if before is None else min(before - 1, newest)
    oldest = max(start - limit, 0)
    return log.records(model, start, oldest + 1), oldest + 1 if oldest else None


def edit(log: Log, model: str, change: Change, *, card: str | None = None, tags: list[str] | None = None) -> Head:
    """Replace a model's card (Markdown) or its tags; versions and their manifests stay as they are."""
    if card is None and tags is None:
        raise BadInput("there is nothing to edit: state a card, tags or both")
    sorted_tags = None if tags is None else sorted(set(tags))

    def decide(head: Head) -> Record | None:
        if card is None and sorted_tags == head.require_existing().tags:
            return None
        head.require_existing()
        return Record(kind="edit", by=change.by, card=card, tags=sorted_tags)

    return log.append(keys.model_name(model), decide, change)


def delete(log: Log, model: str, change: Change) -> Head:
    """Take a whole model out of service. Its history stays; its blobs are collected after a grace period."""

    def decide(head: Head) -> Record | None:
        if head.deleted is not None:
            return None
        head.require_existing()
        return Record(kind="delete", by=change.by)

    return log.append(keys.model_name(model), decide, change)


def restore(log: Log, model: str, change: Change) -> Head:
    """Undo a deletion. Raises Conflict if the model's blobs were collected."""

    def decide(head: Head) -> Record | None:
        if head.deleted is None:
            head.require_existing()
            return None
        _require_blobs(log, head, head.deleted)
        return Record(kind="undelete", by=change.by)

    return log.append(keys.model_name(model), decide, change)


def reserved(head: Head) -> bool:
    """Whether the model is deleted and can be restored: until then, its name must not be used for another model."""
    return head.deleted is not None and not _is_expired(head.deleted)


def _is_expired(deleted: str) -> bool:
    return datetime.fromisoformat(deleted).timestamp() < time.time() - blobs.GRACE + MARGIN


def _require_blobs(log: Log, head: Head, deleted: str) -> None:
    """Raises Conflict if the model's blobs were collected, or may be about to be."""
    version = representative_version(head)
    digests = (version.manifest, version.model, *version.files.values())
    if _is_expired(deleted) or not all(blobs.exists(log.store, digest) for digest in digests):
        raise Conflict(
            f"model {head.model!r} was deleted on {deleted}, and its blobs were removed since: push the model again"
        )


def re_sign(log: Log, model: str, change: Change) -> Head:
    """Sign the present state with the deployment's key, which covers all earlier records: after a change of keys.

    `log` must not verify signatures: the present state may have no valid one, and the caller is responsible for it.
    """

    def decide(head: Head) -> Record | None:
        return Record(kind="attest", by=change.by) if head.revision else None

    return log.append(keys.model_name(model), decide, change)
