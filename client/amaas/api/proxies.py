"""Which proxy a host is reached through, by the environment, as other programs read it.

https_proxy, http_proxy or all_proxy, by the scheme of the address, in small letters or capitals; no_proxy says what is
reached without: names with what is below them, addresses and networks, also of IPv6, each with a port or none, or *.
A proxy that no address of ours goes through is not even looked at.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from amaas.api.hosts import named_host
from amaas.errors import NotConnected

PORTS = {"http": 80, "https": 443}
SCHEMES = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5h"}
SYSTEM = "the system's settings"  # of Windows and macOS, where no variable says anything


@dataclass(frozen=True)
class Proxy:
    """url: as httpx takes it; it may hold a password. source: the variable that names it."""

    url: str = field(repr=False)
    source: str


def proxy_for(scheme: str, host: str, port: int | None) -> Proxy | None:
    """None for none. Raises NotConnected, which names the variable, for a proxy that cannot be used."""
    source, value = _chosen(scheme, os.environ)
    if not source:
        system = urllib.request.getproxies()
        value = system.get(scheme) or system.get("all") or ""
        if not value or urllib.request.proxy_bypass(host):
            return None
        return Proxy(_checked(value, SYSTEM, host), SYSTEM)
    if not value or is_excluded(_variable("no_proxy", os.environ)[1], scheme, host, port or PORTS[scheme]):
        return None
    return Proxy(_checked(value, source, host), source)


def _chosen(scheme: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that counts for a scheme, and its value; an empty one means none. Without any, two empty texts."""
    own = _variable(f"{scheme}_proxy", environment)
    if own[0] == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
        own = ("", "")  # of a CGI program, it is a header that the caller has sent
    return own if own[0] else _variable("all_proxy", environment)


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    for spelled in (name, name.upper()):
        if spelled in environment:
            return spelled, environment[spelled].strip()
    return "", ""


def _checked(value: str, source: str, host: str) -> str:
    """The address of a proxy as httpx takes it. The value itself is not in the message: it may hold a password."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        name, _ = named_host(url), parts.port
        if not name or any(character.isspace() for character in url):
            raise ValueError
    except ValueError:
        raise NotConnected(
            f"{source} is not the address of a proxy: write http://HOST:PORT, and signs of a user or password as "
            f"percent-codes (# is %23); or reach {host} without one, by NO_PROXY={host}"
        ) from None
    scheme = SCHEMES.get(parts.scheme.lower())
    if scheme is None:
        raise NotConnected(
            f"{source} names a proxy of the kind {parts.scheme!r}, which is not known here: http, https and socks5 "
            f"are; or reach {host} without one, by NO_PROXY={host}"
        )
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise NotConnected(
            f"{source} names a SOCKS proxy, which takes one more package: pip install 'httpx[socks]'; or reach {host} "
            f"without one, by NO_PROXY={host}"
        )
    return parts._replace(scheme=scheme, path="", query="", fragment="").geturl()


def is_excluded(no_proxy: str, scheme: str, host: str, port: int) -> bool:
    """Whether an address is one of those that are reached without a proxy. no_proxy: the variable's value."""
    return any(_matches(entry, scheme, host, port) for entry in no_proxy.replace(",", " ").split())


def _matches(entry: str, scheme: str, host: str, port: int) -> bool:
    """One that cannot be read matches nothing, as with other programs."""
    if entry == "*":
        return True
    if "://" in entry:
        wanted, _, entry = entry.partition("://")
        if wanted.lower() not in (scheme, "all"):
            return False
    name, wanted_port = _divided(entry.rstrip("/"))
    if wanted_port and wanted_port != str(port):
        return False
    address = _address(host)
    if address is not None:
        try:
            return address in ip_network(name.partition("%")[0], strict=False)
        except ValueError:
            return False
    name = name.lower().removeprefix("*").strip(".")
    plain = host.lower().rstrip(".")
    return bool(name) and (plain == name or plain.endswith(f".{name}"))


def _divided(entry: str) -> tuple[str, str]:
    """Name and port of HOST, HOST:PORT, [ADDRESS]:PORT, or an address of IPv6, which has colons of its own."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return (name, rest[1:]) if rest[:1] == ":" else (name + rest, "")  # [fe80::]/10
    name, colon, port = entry.rpartition(":")
    return (name, port) if colon and ":" not in name and port.isdigit() else (entry, "")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
