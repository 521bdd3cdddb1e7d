"""Paths of the API's operations. Names are quoted, so that none becomes another path."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from amaas.api.routes import ROUTES
from amaas.errors import AmaasError

Names = Mapping[str, int | str]


def route(operation: str, names: Names | None = None) -> tuple[str, str]:
    """Method and path of an operation. names: those in its path.

    Raises AmaasError for a name that would be another path.
    """
    method, path = ROUTES[operation]
    for name, value in (names or {}).items():
        if name == "model" and not str(value).strip("."):
            raise AmaasError(f"{value!r} is not a model name: names begin with a letter or a digit")
        if name == "model" and "/" in str(value):  # some gateways take %2F for it, too
            raise AmaasError(f"{value!r} is not a model name: names have no / in them")
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return method, path


def of_version(operation: str, model: str, version: int | str | None) -> tuple[str, Names]:
    """An operation on a model, or its form for one version by number or alias, with the names of its path."""
    if version is None:
        return operation, {"model": model}
    return f"{operation}Version", {"model": model, "version": version}
