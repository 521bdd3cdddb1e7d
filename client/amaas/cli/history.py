"""The verbs that look back: history, verification, differences."""

from __future__ import annotations

import sys

import click

from amaas.cli.base import Context, verb

verbs = click.Group()


@verb(verbs)
@click.argument("model")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many records.")
@click.option("--all", "everything", is_flag=True, help="All records.")
def history(context: Context, model: str, limit: int, everything: bool) -> None:
    """Show who changed what, when and why; newest first."""
    from amaas.cli.display import history as display

    with context.client() as client:
        records = client.get_history(model, None if everything else limit)
    context.answer(records, lambda out: display.history(out, records))


def anchor_of(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, str] | None:
    """Callback: REVISION:DIGEST as a pair."""
    if value is None:
        return None
    revision, _, digest = value.partition(":")
    if not revision.isdigit() or len(digest) != 64:
        raise click.BadParameter(f"{value!r} is not REVISION:DIGEST", context, parameter)
    return int(revision), digest


@verb(verbs)
@click.argument("model")
@click.option("--anchor", callback=anchor_of, help="REVISION:DIGEST of an earlier verification, to compare with.")
def verify(context: Context, model: str, anchor: tuple[int, str] | None) -> None:
    """Check that a model's history is whole and signed.

    That every record of its log is present, unchanged and in its place. Exit status 1 if not.
    """
    from amaas.cli.display import history as display

    with context.client() as client:
        report = client.verify(model)
        if anchor and not client.matches_anchor(model, *anchor):
            problem = {"revision": anchor[0], "what": "the record is missing, or differs from the anchor"}
            report = report | {"verified": False, "problems": [*report["problems"], problem]}
    context.answer(report, lambda out: display.verification(out, model, report))
    if not report["verified"]:
        sys.exit(1)


@verb(verbs)
@click.argument("model")
@click.argument("old", required=False, metavar="FROM")
@click.argument("new", required=False, metavar="TO")
def diff(context: Context, model: str, old: str | None, new: str | None) -> None:
    """Show the differences between two versions.

    By default, of production and the newest.
    """
    from amaas.cli.display import history as display

    with context.client() as client:
        comparison = client.compare_versions(model, old, new)
    context.answer(comparison, lambda out: display.differences(out, comparison))
