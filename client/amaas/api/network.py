"""Clients of HTTP that reach each host as the environment says: through which proxy, with which certificates trusted.

Both are looked up for the host that is called, when it is called: what the environment says of others does not matter.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from threading import Lock
from typing import Any

import httpx

from amaas.api import certificates
from amaas.api.proxies import Proxy, proxy_for

DEADLINE = "amaas.deadline"  # extension of a request: until when its answer has to be whole, by time.monotonic


def client(**options: Any) -> httpx.Client:
    """options: of httpx.Client."""
    return httpx.Client(transport=_Routes(), trust_env=False, **options)


def proxy_to(url: httpx.URL) -> Proxy | None:
    """Raises NotConnected for one that cannot be used."""
    return proxy_for(url.scheme, url.host, url.port)


class _Bounded(httpx.SyncByteStream):
    """A body that has to be there by a time. httpx bounds each part of it: of many small ones, nothing bounds all."""

    def __init__(self, body: httpx.SyncByteStream, deadline: float, request: httpx.Request) -> None:
        self._body, self._deadline, self._request = body, deadline, request

    def __iter__(self) -> Iterator[bytes]:
        for part in self._body:
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the body took too long", request=self._request)
            yield part

    def close(self) -> None:
        self._body.close()


class _Routes(httpx.BaseTransport):
    """One pool of connections for each proxy, and one for none; with certificates only where they are needed."""

    def __init__(self) -> None:
        self._pools: dict[tuple[bool, Proxy | None], httpx.HTTPTransport] = {}
        self._lock = Lock()  # parts of a file are sent from several threads

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._pool(request.url).handle_request(request)
        deadline = request.extensions.get(DEADLINE)
        if deadline is not None and isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _Bounded(response.stream, deadline, request)
        return response

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _pool(self, url: httpx.URL) -> httpx.HTTPTransport:
        proxy, encrypted = proxy_to(url), url.scheme == "https"
        with self._lock:
            pool = self._pools.get((encrypted, proxy))
            if pool is None:
                pool = self._pools[encrypted, proxy] = httpx.HTTPTransport(
                    verify=certificates.trusted() if encrypted else _no_certificates(), trust_env=False,
                    proxy=None if proxy is None else _spoken_to(proxy),
                )  # fmt: skip
        return pool


def _spoken_to(proxy: Proxy) -> httpx.Proxy:
    encrypted = proxy.url.startswith("https:")
    return httpx.Proxy(proxy.url, ssl_context=certificates.trusted() if encrypted else None)


def _no_certificates() -> ssl.SSLContext:
    """Of connections that are not encrypted: it would trust nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
