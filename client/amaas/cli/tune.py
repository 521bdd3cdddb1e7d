"""The verb that measures memory sizes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from amaas.cli.base import Context, reference, verb

verbs = click.Group()


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@click.argument("item", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="INPUT")
@click.option("--function", required=True, help="The stack's output InferenceFunctionName.")
@click.option("--size", "sizes", type=click.IntRange(128, 10240), multiple=True, help="In MB; repeatable.")
@click.option("--repeat", type=click.IntRange(1), help="Warm calls at each size. Default: 30.")
@click.option("--endpoint-url", help="An endpoint of Lambda other than AWS.")
def tune(
    context: Context,
    model: tuple[str, str | None],
    item: Path,
    function: str,
    sizes: tuple[int, ...],
    repeat: int | None,
    endpoint_url: str | None,
) -> None:
    """Measure a version at several memory sizes, and say which one suits it.

    INPUT is a file as `amaas predict` takes it. For operators, in a checkout: functions of the sweep's own are created
    beside the deployed one, called, and deleted. What callers get does not change.
    """
    from amaas.cli.display import costs as display
    from amaas.local import tune as local

    name, named = model
    with context.client() as client:  # by number: an alias may be moved during the sweep
        version = int(client.get_version(name, named or "production")["version"])
    options = ["--sizes", *map(str, sizes)] if sizes else []
    options += ["--repeat", str(repeat)] if repeat else []
    options += ["--endpoint-url", endpoint_url] if endpoint_url else []
    answer = local.sweep(function, name, version, item, options)
    context.answer(answer, partial(display.of_sizes, answer))
