"""The verb that shows what the service has logged."""

from __future__ import annotations

import click

from amaas.cli.base import Context, verb
from amaas.cli.display.text import as_json, echo

verbs = click.Group()


@verb(verbs)
@click.argument("request_id", required=False)
@click.option("--model", help="Lines that name this model.")
@click.option("--function", help="Lines of one function: inference, ingest, registry, watch, … Default: of all.")
@click.option(
    "--level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False), help="And what is worse."
)
@click.option("--since", default="1h", show_default=True, help="A time, or so long ago: 15m, 24h, 30d.")
@click.option("--until", help="A time, or so long ago. Default: now.")
@click.option("--follow", is_flag=True, help="Go on with new lines, until Ctrl-C.")
def logs(
    context: Context,
    request_id: str | None,
    model: str | None,
    function: str | None,
    level: str | None,
    since: str,
    until: str | None,
    follow: bool,
) -> None:
    """Show what the service has logged: of a call, of a model, of errors; oldest first.

    REQUEST_ID is that of a call, as its error names it. Needs a token with scope admin for all models. With --json,
    each line is a JSON object.
    """
    if follow and until is not None:
        raise click.UsageError("--follow goes on without end: leave --until out")
    from amaas.cli.display import logs as display
    from amaas.cli.display.tables import console

    out, none = console(), True
    with context.client() as client:
        for line in client.get_logs(
            request_id, model=model, function=function, level=level, since=since, until=until, follow=follow
        ):
            none = False
            if context.as_json:
                echo(as_json(line))
            else:
                display.show(out, line)
    if none and not context.as_json:
        out.print(f"nothing of it is in the log since {since}; --since 24h goes further back", soft_wrap=True)
