"""The certificates that are trusted: Mozilla's, or what the environment names, as OpenSSL and requests read it."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

import httpx

from amaas.errors import NotConnected

# the first one that is set counts: what each may name
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
KEYS = "SSLKEYLOGFILE"  # to which Python writes the keys of connections, for who watches them
INSTEAD = "name a file of certificates in PEM form, or unset it"


def source() -> str | None:
    """The variable that says which certificates are trusted."""
    return next((name for name in VARIABLES if os.environ.get(name, "").strip()), None)


def trusted() -> ssl.SSLContext:
    """Raises NotConnected, which names variable and file, for what holds no certificates."""
    name = source()
    try:
        return _default() if name is None else _named(name, os.environ[name].strip())
    except OSError as error:
        if error.filename != os.environ.get(KEYS):
            raise
        raise NotConnected(
            f"{KEYS} names {error.filename!r}, which cannot be written ({error.strerror}): name another file, or "
            "unset it"
        ) from error


@cache
def _default() -> ssl.SSLContext:
    """Reading them takes 50 ms, which every client would spend anew."""
    return httpx.create_ssl_context(trust_env=False)


@cache
def _named(variable: str, value: str) -> ssl.SSLContext:
    folders = [Path(part) for part in value.split(os.pathsep)] if variable == "SSL_CERT_DIR" else [Path(value)]
    if variable != "SSL_CERT_FILE" and any(folder.is_dir() for folder in folders):
        if not any(folder.is_dir() and any(folder.iterdir()) for folder in folders):
            raise _refused(variable, value, "is empty")
        return ssl.create_default_context(capath=value)
    if variable == "SSL_CERT_DIR":
        raise _refused(variable, value, "is no folder")
    try:
        return ssl.create_default_context(cafile=value)
    except ssl.SSLError:
        raise _refused(variable, value, "holds no certificate") from None
    except (OSError, ValueError) as error:
        if getattr(error, "filename", None) == os.environ.get(KEYS, ""):
            raise
        raise _refused(variable, value, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _refused(variable: str, value: str, reason: str) -> NotConnected:
    return NotConnected(f"{variable} names {value!r}, which {reason}: {INSTEAD}")
