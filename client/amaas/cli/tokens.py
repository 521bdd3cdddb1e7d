"""The verbs of tokens."""

from __future__ import annotations

import click

from amaas.cli.base import Context, verb

verbs = click.Group()


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
    help="infer, read, write, promote, train, data or admin; for some names only, infer:PATTERN.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, min_open=True),
    help="Days until it expires. Default: what the deployment says, 90.",
)
def create_token(context: Context, name: str, scopes: tuple[str, ...], days: float | None) -> None:
    """Create a token. It is shown only once."""
    from amaas.cli.display import tokens as display

    with context.client() as client:
        created = client.create_token(name, list(scopes), days)
    context.answer(created, lambda out: display.created(out, created))


@verb(token, "ls")
def list_tokens(context: Context) -> None:
    """List the tokens, revoked ones included."""
    from amaas.cli.display import tokens as display

    with context.client() as client:
        rows = client.list_tokens()
    context.answer(rows, lambda out: display.tokens(out, rows))


@verb(token, "rotate")
@click.argument("id")
@click.option("--overlap", type=click.FloatRange(0, 720), help="Hours for which the old one goes on. Default: 24.")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Days until the new one expires, as in create.")
def rotate_token(context: Context, id: str, overlap: float | None, days: float | None) -> None:
    """Replace a token by a new one with its name and scopes. It is shown only once."""
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
