"""Where the service is and who is calling: flags, then AMAAS_URL / AMAAS_TOKEN, then the nearest .local/amaas.json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from amaas.errors import NotConnected


def resolve(url: str | None = None, token: str | None = None) -> tuple[str, str]:
    """The API's address, without a slash at the end, and the token. Raises NotConnected.

    The token of .local/amaas.json goes only to the host that this file names: a --url must not send it elsewhere.
    """
    url, token = url or os.environ.get("AMAAS_URL"), token or os.environ.get("AMAAS_TOKEN")
    local = {} if url and token else _local()
    return _address(url or local.get("api_url")), _secret(token or _token_for(url, local))


def _address(url: str | None) -> str:
    if not url:
        raise NotConnected("no service is known: give --url, set AMAAS_URL, or run `make run` in a checkout")
    url = url.strip().rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise NotConnected(
            f"{url!r} is no address of a service: it starts with http:// or https://, as AMAAS_URL has it"
        )
    return url


def _secret(token: str | None) -> str:
    if not token:
        raise NotConnected("no token is known: give --token or set AMAAS_TOKEN; `amaas token create` makes one")
    token = token.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise NotConnected("the token is no token: it reads amaas_<id>_<secret>; see --token or AMAAS_TOKEN")
    return token


def _token_for(url: str | None, local: dict[str, Any]) -> str | None:
    same = url is None or urlsplit(url).netloc == urlsplit(local.get("api_url", "")).netloc
    return local.get("token") if same else None


def _local() -> dict[str, Any]:
    here = Path.cwd()
    files = (folder / ".local" / "amaas.json" for folder in (here, *here.parents))
    nearest = next((file for file in files if file.is_file()), None)
    if nearest is None:
        return {}
    try:
        return dict(json.loads(nearest.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise NotConnected(f"{nearest} cannot be read ({error}): run `make run` again") from error
