"""A connection to one deployment: what all parts of the client share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NoReturn, Self

from amaas.api import network, transport
from amaas.api.endpoint import resolve
from amaas.api.paths import Names, route
from amaas.errors import AmaasError

Json = dict[str, Any]
TIMEOUT, TEXT_TIMEOUT = 60.0, 300.0  # seconds
LONGEST = 86_400  # seconds of a call


def check_seconds(timeout: Any) -> None:
    """Raises AmaasError for a time-out that is none."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST:
        raise AmaasError(f"timeout is {timeout!r}: give seconds, more than 0 and at most {LONGEST}, or None")


class Connection:
    """Holds the address and the HTTP client. Raises NotConnected where address or token are not known.

    timeout: seconds that a call may take, with all its attempts; by default TIMEOUT, and of a text that a model writes
    TEXT_TIMEOUT.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
        *,
        profile: str | None = None,
    ) -> None:
        self.url, secret = resolve(url, token, profile)
        check_seconds(timeout)
        headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
        self._described: dict[tuple[str, int | str | None], Json] = {}  # metadata, by model and version
        self._text_timeout = TEXT_TIMEOUT if timeout is None else timeout
        self._http = network.client(base_url=self.url, headers=headers, timeout=TIMEOUT if timeout is None else timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or sent to another process, with its connections and its token: "
            "make one there"
        )

    def _call(self, operation: str, names: Names | None = None, **options: Any) -> Json:
        """operation: its id in routes.py. names: of its path."""
        method, path = route(operation, names)
        response: Json = transport.request(self._http, method, path, **options)
        return response

    def _pages(
        self, operation: str, member: str, names: Names | None = None, query: dict[str, str] | None = None
    ) -> Iterator[Json]:
        """The rows of all pages of a list."""
        query = query or {}
        while True:
            page = self._call(operation, names, params=query)
            if not isinstance(page.get(member), list):
                raise transport.strange(self._http)
            yield from page[member]
            if page.get("next") is None:
                return
            query = query | {"next": str(page["next"])}

    def _change(self, operation: str, names: Names, **body: Any) -> Json:
        """A transition. None is left out."""
        return self._call_once(
            operation, names, json={name: value for name, value in body.items() if value is not None}
        )

    def _call_once(self, operation: str, names: Names | None = None, **options: Any) -> Json:
        """A call with an Idempotency-Key of its own, which makes it safe to repeat after a lost reply."""
        return self._call(operation, names, retry=True, headers={"Idempotency-Key": uuid.uuid4().hex}, **options)
