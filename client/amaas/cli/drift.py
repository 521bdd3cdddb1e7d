"""Verbs that say whether a model still fits its calls: drift, and accuracy without labels."""

from __future__ import annotations

from functools import partial

import click

from amaas.cli.base import Context, reference, verb

verbs = click.Group()


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@click.option("--since", default="1d", show_default=True, help="A time, or so long ago: 6h, 7d. Of whole hours.")
@click.option("--until", help="A time, or so long ago. Default: now.")
@click.option("--bins", is_flag=True, help="Show where the items of columns that differ are.")
def drift(context: Context, model: tuple[str, str | None], since: str, until: str | None, bins: bool) -> None:
    """Show whether inputs, scores and labels differ from what each version was made of.

    A column drifts where the difference is more than chance makes, and large enough to matter. With @VERSION, a number
    or an alias, only its calls.
    """
    from amaas.cli.display import drift as display

    name, named = model
    number = int(named) if named and named.isdigit() else None
    with context.client() as client:
        answer = client.get_model_drift(
            name, since=since, until=until, version=number, alias=named if number is None else None
        )
    context.answer(answer, partial(display.show, answer, bins=bins))


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@click.option("--since", default="7d", show_default=True, help="A time, or so long ago: 6h, 7d. Of whole hours.")
@click.option("--until", help="A time, or so long ago. Default: now.")
def accuracy(context: Context, model: tuple[str, str | None], since: str, until: str | None) -> None:
    """Estimate how often answers are right, from their scores: no labels are needed.

    It is not to be believed while calls drift, and says so. With @VERSION, a number or an alias, only its calls.
    """
    from amaas.cli.display import drift as display

    name, named = model
    number = int(named) if named and named.isdigit() else None
    with context.client() as client:
        answer = client.get_model_accuracy(
            name, since=since, until=until, version=number, alias=named if number is None else None
        )
    context.answer(answer, partial(display.show_accuracy, answer))
