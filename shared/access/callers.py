"""Who made a call, as far as what they own is concerned."""

from __future__ import annotations

from msgspec import Struct


class Caller(Struct, frozen=True, kw_only=True):
    """id: of the token. scopes: what it may do. replaces: ids of the tokens that it replaced, by rotation."""

    id: str
    scopes: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    def owns(self, creator: str) -> bool:
        """Whether what the token `creator` created is this caller's: a rotated token's is its successor's."""
        return creator == self.id or creator in self.replaces
