"""How models and versions look in answers to people: plain dictionaries made of the registry's state."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.registry.manifest import Manifest
from shared.registry.state import PRODUCTION, Head, Version


def shown(head: Head) -> Version:
    """The version that stands for a model: production's, else the latest."""
    alias = head.aliases.get(PRODUCTION)
    return head.versions[alias.version if alias else head.latest]


def summary(head: Head) -> dict[str, Any]:
    version = shown(head)
    return {
        "name": head.model,
        "task": version.task,
        "latest": head.latest,
        "revision": head.revision,
        "aliases": aliases(head),
        "versions": len(head.versions),
        "updated_at": head.versions[head.latest].created_at,
    }


def detail(head: Head, of_shown: Manifest) -> dict[str, Any]:
    return {
        "name": head.model,
        "task": of_shown.task,
        "revision": head.revision,
        "aliases": aliases(head),
        "versions": versions(head),
        "licence": of_shown.licence,
        "metrics": of_shown.metrics,
        "tags": of_shown.tags,
        "card": of_shown.card,
    }


def aliases(head: Head) -> dict[str, Any]:
    return {name: msgspec.to_builtins(alias) for name, alias in sorted(head.aliases.items())}


def versions(head: Head) -> list[dict[str, Any]]:
    """Newest first."""
    return [_version(head.versions[number]) for number in sorted(head.versions, reverse=True)]


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "task": version.task,
        "created_at": version.created_at,
        "by": version.by,
        "size": version.size,
        "digest": version.model,
        "source": version.source,
        "upload": version.upload,
    }


def manifest(version: Version, content: Manifest) -> dict[str, Any]:
    """A version's manifest, with what the registry knows of it."""
    return {**msgspec.to_builtins(content), "task": content.task, **_version(version)}
