"""The verbs of tokens."""

from __future__ import annotations

import click

from amaas.cli.base import Context, verb

verbs = click.Group()


@verbs.group()
def token() -> None:
    """Create, list and revoke tokens."""


@verb(token, "create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="infer, read, write, promote, train or admin; for some models only, infer:PATTERN.",
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Days until it expires. Default: never.")
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


@verb(token, "revoke")
@click.argument("id")
def revoke_token(context: Context, id: str) -> None:
    """Revoke a token."""
    with context.client() as client:
        revoked = client.revoke_token(id)
    context.report(revoked, f"token {revoked['id']}", "is revoked")
