"""The verbs of profiles: which services this user calls, with which tokens."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from amaas.cli.base import Context, verb
from amaas.errors import AmaasError, ApiError

verbs = click.Group()


@verb(verbs)
def login(context: Context) -> None:
    """Store the address and the token of a service, for all later calls.

    They are asked for where --url and --token are not given; a token that is piped is read from standard input. Both
    are tried before they are stored, in a file of this user alone; with --profile, beside those of other services.
    """
    from amaas.api import endpoint, profiles
    from amaas.client import Client

    name = _profile(context)
    known = profiles.read_all().get(name)
    url = context.url or os.environ.get("AMAAS_URL") or (known.url if known else None) or _asked("Address of the API")
    token = context.token or _asked("Token", hidden=True)
    url, token = endpoint.resolve(url, token)
    with Client(url, token) as client:
        own = _own_token(client)
    file = profiles.store(profiles.Profile(name, url, token))
    answer = {"profile": name, "url": url, "token": own.get("id"), "file": str(file)}
    who = f" as {own['name']}" if own.get("name") else ""
    context.report(answer, name, f"is logged in to {url}{who}; stored in {file}")


@verb(verbs)
def logout(context: Context) -> None:
    """Forget the address and the token of a profile.

    The token stays valid: `amaas token revoke` ends it.
    """
    from amaas.api import profiles

    removed = profiles.remove(_profile(context))
    identity = token_id(removed.token)
    hint = f"; its token stays valid until `amaas token revoke {identity}`" if identity else ""
    context.report({"profile": removed.name, "url": removed.url, "token": identity}, removed.name, f"is removed{hint}")


@verb(verbs, "profiles")
def list_profiles(context: Context) -> None:
    """List the profiles, and which one is used where nothing else is said."""
    from amaas.api import profiles
    from amaas.cli.display import tokens as display

    used = os.environ.get(profiles.VARIABLE, "").strip() or profiles.DEFAULT
    rows = [
        {"profile": one.name, "url": one.url, "token": token_id(one.token), "used": one.name == used}
        for _, one in sorted(profiles.read_all().items())
    ]
    context.answer(rows, lambda out: display.profiles(out, rows))


def token_id(token: str) -> str | None:
    """The part of a token that may be shown: amaas_<id>_<secret>."""
    parts = token.split("_", 2)  # the secret may have more of them
    return parts[1] if len(parts) == 3 and parts[0] == "amaas" else None


def _profile(context: Context) -> str:
    from amaas.api import profiles

    return context.profile or os.environ.get(profiles.VARIABLE, "").strip() or profiles.DEFAULT


def _asked(what: str, *, hidden: bool = False) -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        answer: str = click.prompt(what, hide_input=hidden, err=True)
    elif hidden:
        answer = sys.stdin.readline() if sys.stdin is not None else ""
    else:
        answer = ""
    if not answer.strip():
        raise click.UsageError(f"{what}: give it by {'--token, or on standard input' if hidden else '--url'}")
    return answer.strip()


def _own_token(client: Any) -> dict[str, Any]:
    """What the service says of the token: that it knows it is what counts. Raises AmaasError."""
    try:
        return dict(client.get_own_token())
    except ApiError as error:
        if error.status == 401:
            raise AmaasError(f"nothing is stored: {error}") from error
        raise
