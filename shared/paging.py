"""Lists are answered in pages: how a query asks for one, and where the next one starts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

CURSOR = Meta(description="`next` of the previous page")
NEXT = Meta(description="where the next page starts; null on the last one")
NextPage = Annotated[str | None, NEXT]
NextNumber = Annotated[int | None, NEXT]


def limit(most: int = 1000) -> Meta:
    """Of the member `limit` of a query."""
    return Meta(ge=1, le=most, description="length of the page, at most")
