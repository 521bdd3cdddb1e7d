"""How models and versions look in answers to people: plain dictionaries made of the registry's state."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.package.manifest import Manifest
from shared.registry.catalogue import Summary
from shared.registry.state import Alias, Head, Target, Version


def summary(found: Summary) -> dict[str, Any]:
    return {
        "name": found.name,
        "task": found.task,
        "latest": found.latest,
        "revision": found.revision,
        "aliases": aliases(found.aliases),
        "versions": found.versions,
        "tags": found.tags,
        "updated_at": found.updated_at,
    }


def detail(head: Head, of_shown: Manifest, card: str | None, newest: list[Version]) -> dict[str, Any]:
    """newest: the versions to list; a model may have thousands."""
    return {
        "name": head.model,
        "task": of_shown.task,
        "revision": head.revision,
        "updated_at": head.updated_at,
        "aliases": aliases(head.aliases),
        "versions": versions(head, newest),
        "licence": of_shown.licence,
        "metrics": of_shown.metrics,
        "tags": of_shown.tags if head.tags is None else head.tags,
        "card": card,
        "policies": {name: policy(head, name) for name in sorted({*head.aliases, *head.policies})},
        "requests": [
            {"request": number, **msgspec.to_builtins(request, str_keys=True)}
            for number, request in head.requests.items()
        ],
    }


def aliases(given: dict[str, Alias]) -> dict[str, Any]:
    return {name: alias(given[name]) for name in sorted(given)}


def alias(given: Alias) -> dict[str, Any]:
    """split and shadow only where there are any; previous_split where a rollback goes back to a split."""
    split = {"previous_split": target(given.trail[-1])["split"]} if given.trail and given.trail[-1].split else {}
    return {**target(given.target), "since": given.since, "previous": given.previous, **split}


def target(given: Target) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(given, str_keys=True)
    return found


def policy(head: Head, name: str) -> dict[str, bool]:
    found = head.policy(name)
    return {"protected": found.protected or found.two_person, "two_person": found.two_person}


def versions(head: Head, given: list[Version]) -> list[dict[str, Any]]:
    return [version(head, one) for one in given]


def version(head: Head, given: Version) -> dict[str, Any]:
    return {
        "version": given.version,
        "state": "retired" if given.version in head.retired else "active",
        "task": given.task,
        "created_at": given.created_at,
        "by": given.by,
        "size": given.size,
        "digest": given.model,
        "files": given.files,
        "source": given.source,
        "upload": given.upload,
    }


def manifest(head: Head, given: Version, content: Manifest) -> dict[str, Any]:
    """A version's manifest, with what the registry knows of it."""
    return {**msgspec.to_builtins(content), "task": content.task, **version(head, given)}
