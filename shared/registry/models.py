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
from shared.registry.state import PRODUCTION, Act, Head, Record, Version
from shared.signing import model_signing

MARGIN = 3600.0  # seconds before the end of the grace in which a deletion cannot be undone any more


def get(log: Log, model: str) -> Head:
    """The present state of a model. Raises NotFound."""
    return log.read(keys.model_name(model)).exists()


def manifest(log: Log, version: Version) -> Manifest:
    return manifests.stored(blobs.read(log.store, version.manifest), f"version {version.version} of this model")


def shown(head: Head) -> Version:
    """The version that stands for a model: production's, else the latest."""
    alias = head.aliases.get(PRODUCTION)
    return head.versions[alias.version if alias else head.latest]


def card(log: Log, head: Head, of_shown: Manifest) -> str | None:
    """The model card: as it was edited, else the shown version's own."""
    if head.edited is None:
        return of_shown.card
    held = log.records(head.model, head.edited, head.edited)
    return held[0].card if held else None


def signature(log: Log, version: Version) -> dict[str, Any]:
    """The OpenSSF signature of a version's package: the bundle, the files it is for, the keys that may have made it.

    Raises NotFound for a version that was registered unsigned.
    """
    if version.package is None:
        raise NotFound(f"version {version.version} is not signed: the deployment had no signing key then")
    return {
        "bundle": msgspec.json.decode(blobs.read(log.store, version.package)),
        "files": {"model.onnx": version.model, "amaas.json": version.manifest, **version.files},
        "public_keys": [model_signing.pem(key).decode() for key in log.trusted],
    }


def known(log: Log, model: str) -> Head:
    """As get, but a deleted model is found too: it keeps its history."""
    head = log.read(keys.model_name(model))
    return head if head.revision else head.exists()


def history(
    log: Log, model: str, newest: int, *, before: int | None = None, limit: int = 50
) -> tuple[list[Record], int | None]:
    """Records newest first, below revision `before`; and the `before` of the next page, or None at the end.

    newest: the model's revision. Records that are missing or damaged are left out: verify.py names them.
    """
    start = newest if before is None else min(before - 1, newest)
    oldest = max(start - limit, 0)
    return log.records(model, start, oldest + 1), oldest + 1 if oldest else None


def edit(log: Log, model: str, act: Act, *, card: str | None = None, tags: list[str] | None = None) -> Head:
    """Replace a model's card (Markdown) or its tags; versions and their manifests stay as they are."""
    if card is None and tags is None:
        raise BadInput("nothing to edit: give a card, tags or both")
    wanted = None if tags is None else sorted(set(tags))

    def decide(head: Head) -> Record | None:
        if card is None and wanted == head.exists().tags:
            return None
        head.exists()
        return Record(kind="edit", by=act.by, card=card, tags=wanted)

    return log.append(keys.model_name(model), decide, act)


def delete(log: Log, model: str, act: Act) -> Head:
    """Take a model out of service, as a whole. Its history stays; its blobs are collected after a time of grace."""

    def decide(head: Head) -> Record | None:
        if head.deleted is not None:
            return None
        head.exists()
        return Record(kind="delete", by=act.by)

    return log.append(keys.model_name(model), decide, act)


def restore(log: Log, model: str, act: Act) -> Head:
    """Undo a deletion, as long as the blobs are there. Raises Conflict when they were collected already."""

    def decide(head: Head) -> Record | None:
        if head.deleted is None:
            head.exists()
            return None
        _complete(log, head, head.deleted)
        return Record(kind="undelete", by=act.by)

    return log.append(keys.model_name(model), decide, act)


def reserved(head: Head) -> bool:
    """Whether the model is deleted and may still be restored: then its name is not to be used for another."""
    return head.deleted is not None and not _late(head.deleted)


def _late(deleted: str) -> bool:
    return datetime.fromisoformat(deleted).timestamp() < time.time() - blobs.GRACE + MARGIN


def _complete(log: Log, head: Head, deleted: str) -> None:
    """Raises Conflict when the collector has taken the model's blobs, or may be about to."""
    version = shown(head)
    needed = (version.manifest, version.model, *version.files.values())
    if _late(deleted) or not all(blobs.there(log.store, digest) for digest in needed):
        raise Conflict(
            f"model {head.model!r} was deleted on {deleted}, and its blobs were collected since: push it again"
        )


def attest(log: Log, model: str, act: Act) -> Head:
    """Sign the present state with the deployment's key, and with it the chain behind it: after a change of keys.

    `log` must trust any key for this, or none: whoever calls vouches for what is there.
    """

    def decide(head: Head) -> Record | None:
        return Record(kind="attest", by=act.by) if head.revision else None

    return log.append(keys.model_name(model), decide, act)
