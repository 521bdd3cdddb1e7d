"""The transitions of a model, and the questions one can ask about it. Each transition is one record of its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from shared.errors import BadInput, Conflict, NotFound
from shared.registry import blobs, keys, log
from shared.registry.manifest import Manifest
from shared.registry.state import PRODUCTION, Head, Record, Version
from shared.storage.base import Store


def register(store: Store, model: str, version: Version, *, by: str, reason: str | None = None) -> Version:
    """Commit the next version of a model; its number is set here. The first one also gets the alias `production`.

    Idempotent by upload: an upload that is a version already gives that version back.
    """
    keys.model_name(model)

    def decide(head: Head) -> Record | None:
        if head.version_of_upload(version.upload):
            return None
        numbered = msgspec.structs.replace(version, version=head.latest + 1)
        first: dict[str, int | None] = {} if head.versions else {PRODUCTION: numbered.version}
        return Record(kind="register", by=by, reason=reason, version=numbered, aliases=first)

    registered = log.append(store, model, decide).version_of_upload(version.upload)
    assert registered is not None  # append returned only because the record is in the log
    return registered


def set_alias(
    store: Store,
    model: str,
    alias: str,
    version: int,
    *,
    by: str,
    reason: str | None = None,
    expect_revision: int | None = None,
) -> Head:
    """Point an alias at a version. Raises Conflict when the model is not at `expect_revision` any more."""
    keys.alias_name(alias)

    def decide(head: Head) -> Record | None:
        _expect(head, expect_revision)
        target = head.resolve(str(version)).version
        if alias in head.aliases and head.aliases[alias].version == target:
            return None
        return Record(kind="alias", by=by, reason=reason, aliases={alias: target})

    return log.append(store, keys.model_name(model), decide)


def delete_alias(
    store: Store, model: str, alias: str, *, by: str, reason: str | None = None, expect_revision: int | None = None
) -> Head:
    """Take an alias away; its history stays. `production` cannot go: callers who name no version rely on it."""
    if keys.alias_name(alias) == PRODUCTION:
        raise BadInput("the alias 'production' cannot be deleted: point it at another version")

    def decide(head: Head) -> Record | None:
        _expect(head, expect_revision)
        if alias not in head.exists().aliases:
            raise NotFound(f"model {model!r} has no alias {alias!r}: its aliases are {sorted(head.aliases)}")
        return Record(kind="unalias", by=by, reason=reason, aliases={alias: None})

    return log.append(store, keys.model_name(model), decide)


def _expect(head: Head, revision: int | None) -> None:
    if revision is not None and head.revision != revision:
        aliases = {name: alias.version for name, alias in head.aliases.items()}
        raise Conflict(
            f"model {head.model!r} is at revision {head.revision}, not {revision}: its aliases are now {aliases}; "
            "look again and repeat with the new revision"
        )


def get(store: Store, model: str) -> Head:
    """The present state of a model. Raises NotFound."""
    return log.read(store, keys.model_name(model)).exists()


def manifest(store: Store, version: Version) -> Manifest:
    return msgspec.json.decode(blobs.read(store, version.manifest), type=Manifest)


def history(store: Store, model: str, *, before: int | None = None, limit: int = 50) -> tuple[list[Record], int | None]:
    """Records newest first, below revision `before`; and the `before` of the next page, or None at the end."""
    head = get(store, model)
    newest = head.revision if before is None else min(before - 1, head.revision)
    oldest = max(newest - limit, 0)
    records = [log.record(store, model, revision) for revision in range(newest, oldest, -1)]
    return records, oldest + 1 if oldest else None


def catalogue(
    store: Store, *, search: str = "", after: str | None = None, limit: int = 100, permitted: Any = None
) -> tuple[list[Head], str | None]:
    """Models in the order of their keys, those whose name contains `search`; and where the next page starts."""
    found: list[Head] = []
    for name in _names(store, after):
        if search.lower() not in name.lower() or (permitted and not permitted(name)):
            continue
        if len(found) == limit:
            return found, found[-1].model
        head = log.read(store, name)
        if head.versions:
            found.append(head)
    return found, None


def _names(store: Store, after: str | None) -> Iterator[str]:
    # '/' + '~' sorts behind every key of a model's own folder, so the listing starts at the next model
    start, token = (f"{keys.MODELS}{after}/~" if after else ""), None
    while True:
        page = store.list_page(keys.MODELS, delimiter="/", after=start, token=token)
        yield from (prefix[len(keys.MODELS) : -1] for prefix in page.prefixes)
        if not page.next:
            return
        token = page.next
