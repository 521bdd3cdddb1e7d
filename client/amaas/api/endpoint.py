"""Address and token of the service: what the call says, by itself or by a profile's name; then AMAAS_URL and
AMAAS_TOKEN; then the profile of AMAAS_PROFILE, or the one called default; then the nearest .local/amaas.json.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from amaas.api import json_files, profiles
from amaas.api.hosts import named_host
from amaas.api.profiles import Profile
from amaas.errors import NotConnected

PAGES = ("/console", "/docs", "/openapi.json")
QUOTES = ("'", '"', "`", "<", ">")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def resolve(url: str | None = None, token: str | None = None, profile: str | None = None) -> tuple[str, str]:
    """The API's address, without a slash at the end, and the token. Raises NotConnected.

    The token in .local/amaas.json is sent only to the host in that file: a --url must not send it elsewhere; and so is
    that of a profile. And any other token goes to the address in that file only if it is of this machine: the file may
    be of a folder that a stranger has made.
    """
    if profile:  # said with the call: it goes before the environment
        return _completed(url, token, profiles.read(profile))
    url, token = url or os.environ.get("AMAAS_URL"), token or os.environ.get("AMAAS_TOKEN")
    if url and token:
        return _address(url), _secret(token)
    saved = profiles.chosen()
    if saved and (token or not url or _is_same(url, saved.url)):
        return _completed(url, token, saved)
    local = _local()
    address = _address(url or local.get("api_url"))
    if token and not url and urlsplit(address).hostname not in LOOPBACK:
        raise NotConnected(
            f"a token is given, but no address: {address}, in the nearest .local/amaas.json, gets no token but its "
            "own. Give --url or set AMAAS_URL, too"
        )
    return address, _secret(token or _local_token(url, local))


def _completed(url: str | None, token: str | None, saved: Profile) -> tuple[str, str]:
    """What is not said is the profile's; its token goes to its own address only."""
    address = _address(url or saved.url)
    return address, _secret(token or (saved.token if _is_same(address, saved.url) else None))


def _is_same(url: str, other: str) -> bool:
    """Whether two addresses are of one service."""
    try:
        one, two = urlsplit(url.strip()), urlsplit(other.strip())
    except ValueError:
        return False
    return (one.scheme.lower(), one.netloc.lower()) == (two.scheme.lower(), two.netloc.lower())


def _address(url: str | None) -> str:
    if not url or not url.strip():
        raise NotConnected(
            "no service is configured: `amaas login`, give --url, set AMAAS_URL, or run `make run` in a checkout"
        )
    url = url.strip().rstrip("/")
    for page in PAGES:  # whose addresses are in a browser to be copied
        url = url.removesuffix(page)
    problem = _problem(url)
    if problem:
        raise NotConnected(f"{_shown(url)} is not the address of a service: {problem}, by --url or AMAAS_URL")
    return url


def _problem(url: str) -> str | None:
    """What is wrong with an address, and what to give instead."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "it has blanks in it: give one without"
    try:
        parts = urlsplit(url)
        host, _ = named_host(url), parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        return f"{str(error)[:1].lower()}{str(error)[1:]}; give one like https://HOST:PORT/v1"
    if parts.scheme not in ("http", "https") or not host:
        return "give one that starts with http:// or https://"
    if "@" in parts.netloc:
        return "it names a user: give one without, and the token by --token or AMAAS_TOKEN"
    if parts.query or parts.fragment or url.endswith("?"):
        return "it goes on behind a ? or #: give one without"
    return None


def _shown(url: str) -> str:
    """An address without what may be a password."""
    before, at, host = url.rpartition("@")
    return repr(f"{before.partition('://')[0]}://…@{host}" if at and "://" in before else f"…@{host}" if at else url)


def _secret(token: str | None) -> str:
    if not token or not token.strip():
        raise NotConnected(
            "no token is configured: give --token, set AMAAS_TOKEN, or `amaas login`; `amaas token create` creates one"
        )
    token = token.strip()
    if problem := _problem_of_token(token):
        raise NotConnected(
            f"the token is malformed: {problem}; tokens read amaas_<id>_<secret>, see --token or AMAAS_TOKEN"
        )

    return token


def _problem_of_token(token: str) -> str | None:
    """What is wrong with a token as it was copied, without a part of it."""
    if token[:1] in QUOTES or token[-1:] in QUOTES:
        return "it has quotes around it"
    if token.lower().startswith(("bearer ", "authorization:")):
        return "it is a whole header, of which the part behind Bearer is the token"
    if token.startswith("\ufeff"):
        return "it begins with a byte order mark, as some editors write it: take that away"
    if not (token.isascii() and token.isprintable()) or " " in token:
        return "it has blanks, or signs that tokens have not"
    return None


def _local_token(url: str | None, local: dict[str, Any]) -> str | None:
    same = url is None or _is_same(url, local.get("api_url", ""))
    return local.get("token") if same else None


def _local() -> dict[str, Any]:
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return {}
    files = (folder / ".local" / "amaas.json" for folder in (here, *here.parents))
    nearest = next((file for file in files if file.is_file()), None)
    if nearest is None:
        return {}
    try:
        access = dict(json_files.read(nearest))
        if not all(isinstance(access.get(name, ""), str) for name in ("api_url", "token")):
            raise ValueError("api_url and token have to be texts")
        return access
    except (ValueError, TypeError, OSError) as error:
        raise NotConnected(f"{nearest} cannot be read ({error}): run `make run` again") from error
