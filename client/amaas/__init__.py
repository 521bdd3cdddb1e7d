"""Client of Amaas: `with Client() as client: client.predict("fashion-mnist", "shoe.png")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amaas.errors import AmaasError, ApiError, NotConnected, Rejected

if TYPE_CHECKING:
    from amaas.asynchronous import AsyncClient
    from amaas.client import Client

__all__ = ["AmaasError", "ApiError", "AsyncClient", "Client", "NotConnected", "Rejected", "__version__"]
__version__ = "0.2.0"  # the only place: client/pyproject.toml reads it


def __getattr__(name: str) -> Any:
    # the HTTP library is the slow part of the import; `amaas --help` must not wait for it
    if name == "Client":
        from amaas.client import Client

        return Client
    if name == "AsyncClient":
        from amaas.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
