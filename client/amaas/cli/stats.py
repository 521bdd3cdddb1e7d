"""The verb that shows what was counted of a model's calls."""

from __future__ import annotations

import time
from functools import partial

import click

from amaas.cli.base import Context, reference, verb

verbs = click.Group()
EVERY = 5.0  # seconds between two looks


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@click.option("--since", default="1h", show_default=True, help="A time, or so long ago: 90m, 24h, 30d.")
@click.option("--until", help="A time, or so long ago. Default: now.")
@click.option("--step", type=click.Choice(["minute", "hour", "day"]), help="Default: the finest that suits the span.")
@click.option("--watch", is_flag=True, help="Show it anew every few seconds, until Ctrl-C.")
@click.option("--process", is_flag=True, help="Instead: the statistics of the one process that answers this call.")
def stats(
    context: Context,
    model: tuple[str, str | None],
    since: str,
    until: str | None,
    step: str | None,
    watch: bool,
    process: bool,
) -> None:
    """Show how a model was called: requests, errors and times by version and alias.

    With @VERSION, a number or an alias, only its calls. A call is counted within a minute, or two while there are few.
    """
    from amaas.cli.display import stats as display

    name, named = model
    with context.client() as client:
        if process:
            statistics = client.get_version_statistics(name, named or "production")
            context.answer(statistics, lambda out: display.of_process(out, statistics))
            return
        number = int(named) if named and named.isdigit() else None
        while True:
            counts = client.get_model_counts(
                name, since=since, until=until, step=step, version=number, alias=named if number is None else None
            )
            if watch and not context.as_json:
                click.clear()
            context.answer(counts, partial(display.show, counts))
            if not watch:
                return
            time.sleep(EVERY)
