"""Types of members that several plans have."""

# annotations are not kept as text: msgspec would take 2 ms of each cold start to read them

from typing import Annotated

from msgspec import Meta

Positive = Annotated[int, Meta(ge=1, le=16384)]
Length = Annotated[int, Meta(ge=1, le=1_000_000)]
Size = Annotated[list[Positive], Meta(min_length=2, max_length=2)]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
Fraction = Annotated[float, Meta(ge=0, le=1)]
