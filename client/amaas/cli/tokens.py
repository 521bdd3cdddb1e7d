"""The verbs of tokens."""

from __future__ import annotations

from typing import Any

import click

from amaas.cli.base import Context, verb

verbs = click.Group()
LONGEST = 3650  # days that a token may live, as the service has it
LIMITS = ("rate", "burst", "quota", "batch_jobs", "training_jobs", "upload_bytes", "texts", "text_tokens")


class Limit(click.ParamType):
    """A limit, as quota=10000."""

    name = "NAME=NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        name, equals, number = str(value).partition("=")
        try:
            amount = float(number.replace("_", ""))
        except ValueError:
            amount = -1
        if equals and name not in LIMITS:
            self.fail(f"there is no limit {name!r}: there are {', '.join(LIMITS)}", param, ctx)
        if not equals or not 0 <= amount < float("inf"):
            self.fail(f"{value!r} is no limit: write it as quota=10000", param, ctx)
        return name, int(amount) if amount.is_integer() else amount


@verbs.group()
def token() -> None:
    """Create, list, rotate and revoke tokens."""


@verb(token, "create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="infer, label, read, write, promote, train, data or admin; for some names only, infer:PATTERN.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, LONGEST, min_open=True),
    help="Days until it expires. Default: what the deployment says, 90.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    type=Limit(),
    help="How much it may use at most, as quota=10000: rate, burst (calls per second, at once), quota (calls a month), "
    "batch_jobs, training_jobs, texts (at the same time), upload_bytes (a day), text_tokens (of prompts and generated "
    "texts, a minute). Default: the deployment's.",
)
def create_token(
    context: Context,
    name: str,
    scopes: tuple[str, ...],
    days: float | None,
    limits: tuple[tuple[str, float], ...],
) -> None:
    """Create a token. It is shown only once."""
    from amaas.cli.display import tokens as display

    with context.client() as client:
        created = client.create_token(name, list(scopes), days, dict(limits))
    context.answer(created, lambda out: display.created(out, created))


@verb(token, "ls")
def list_tokens(context: Context) -> None:
    """List the tokens, revoked ones included."""
    from amaas.cli.display import tokens as display

    with context.client() as client:
        rows = client.list_tokens()
    context.answer(rows, lambda out: display.tokens(out, rows))


@verb(token, "self")
def own_token(context: Context) -> None:
    """Show what the present token may do, and its limits."""
    from amaas.cli.display import tokens as display

    with context.client() as client:
        own = client.get_own_token()
    context.answer(own, lambda out: display.own(out, own))


@verb(token, "rotate")
@click.argument("id")
@click.option("--overlap", type=click.FloatRange(0, 720), help="Hours for which the old one goes on. Default: 24.")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Days until the new one expires, as in create.")
def rotate_token(context: Context, id: str, overlap: float | None, days: float | None) -> None:
    """Replace a token by a new one with its name, scopes and limits. It is shown only once."""
    from amaas.cli.display import tokens as display

    with context.client() as client:
        created = client.rotate_token(id, overlap, days)
    context.answer(created, lambda out: display.created(out, created))


@verb(token, "revoke")
@click.argument("id")
@click.option("--reason", help="Listed with the token.")
def revoke_token(context: Context, id: str, reason: str | None) -> None:
    """Revoke a token. It may still be let in for the seconds that are printed."""
    with context.client() as client:
        revoked = client.revoke_token(id, reason)
    context.report(revoked, f"token {revoked['id']}", f"is revoked: refused within {revoked['refused_within']} s")
