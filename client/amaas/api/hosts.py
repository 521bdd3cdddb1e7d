"""The host that an address names."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx


def named_host(url: str) -> str | None:
    """The host's name, if there is one. Raises ValueError for one that no system could look up."""
    name = urlsplit(url).hostname
    if name is None:
        return None
    try:
        name.encode("idna")  # as the system's look-up has it
        _ = httpx.URL(url).host
    except (UnicodeError, httpx.InvalidURL) as error:
        raise ValueError(f"{name[:100]!r} is no name of a host") from error
    return name
