"""Preconditions of every transition."""

from __future__ import annotations

from shared import formats
from shared.errors import Conflict
from shared.registry.state import Head


def require_revision(head: Head, revision: int | None) -> None:
    """Raises Conflict if the model is not at the revision that the caller expects."""
    if revision is not None and head.revision != revision:
        aliases = {name: str(alias.target) for name, alias in head.aliases.items()}
        raise Conflict(
            f"model {head.model!r} is at revision {head.revision}, not {revision}: its aliases are now {aliases}; "
            "check them, and repeat the call with the new revision"
        )


def require_writable(head: Head) -> None:
    """Raises Conflict for a state of a later release that this one can serve, but not change without loss."""
    if head.min_writer > formats.WRITER:
        raise Conflict(
            f"model {head.model!r} was changed by a later release, in format {head.min_writer}: this release "
            f"writes formats up to {formats.WRITER}; it serves the model, but cannot change it without losing data: "
            f"{formats.REMEDY}"
        )
