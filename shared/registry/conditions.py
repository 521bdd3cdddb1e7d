"""What has to hold before a transition is decided."""

from __future__ import annotations

from shared import formats
from shared.errors import Conflict
from shared.registry.state import Head


def expected(head: Head, revision: int | None) -> None:
    """Raises Conflict when the model is not at the revision that the caller expects."""
    if revision is not None and head.revision != revision:
        aliases = {name: str(alias.target) for name, alias in head.aliases.items()}
        raise Conflict(
            f"model {head.model!r} is at revision {head.revision}, not {revision}: its aliases are now {aliases}; "
            "look again and repeat with the new revision"
        )


def writable(head: Head) -> None:
    """Raises Conflict for a state that this release understands well enough to serve, but not to write."""
    if head.min_writer > formats.WRITER:
        raise Conflict(
            f"model {head.model!r} was changed by a later release, in format {head.min_writer}: this release, which "
            f"writes formats up to {formats.WRITER}, serves it, and would lose something by changing it: "
            f"{formats.REMEDY}"
        )
