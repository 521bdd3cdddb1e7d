"""The verb that shows how the canary of an alias does, and what follows from it."""

from __future__ import annotations

import time
from functools import partial

import click

from amaas.cli.aliases import alias_option
from amaas.cli.base import Context, verb

verbs = click.Group()
EVERY = 10.0  # seconds between two looks


@verb(verbs)
@click.argument("model")
@alias_option
@click.option("--watch", is_flag=True, help="Show it anew every few seconds, until it is watched no more, or Ctrl-C.")
def release(context: Context, model: str, alias: str, watch: bool) -> None:
    """Show how an alias' canary does: step, verdict, and the evidence so far. It moves nothing.

    `amaas policy` says by which rules, and `amaas history` what was moved by them.
    """
    from amaas.cli.display import release as display

    with context.client() as client:
        while True:
            state = client.get_release(model, alias)
            if watch and not context.as_json:
                click.clear()
            context.answer(state, partial(display.show, state))
            if not watch or state["verdict"] is None:
                return
            time.sleep(EVERY)
