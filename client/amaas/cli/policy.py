"""The verb `policy`: by which rules canaries of an alias are watched, rolled back and brought on."""

from __future__ import annotations

from typing import Any

import click

from amaas.cli.aliases import alias_option
from amaas.cli.base import Context, reason_option, verb
from amaas.cli.display.text import release_sentence

Json = dict[str, Any]
verbs = click.Group()


def steps_of(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """Callback: `5,25,50,100` as numbers."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise click.BadParameter(f"{value!r} are not percentages, as in 5,25,50,100", context, parameter)
    return [int(part) for part in parts]


@verb(verbs)
@click.argument("model")
@alias_option
@click.option("--steps", callback=steps_of, help="The canary's weights, in percent: 5,25,50,100.")
@click.option("--bake", "bake_minutes", type=click.IntRange(1), help="Minutes that each step lasts at least.")
@click.option("--least-requests", type=click.IntRange(1), help="Calls of the canary that each step takes at least.")
@click.option("--loss", "tolerated_loss", type=float, help="How many more of its calls may be bad: 0.01 is 1 %.")
@click.option("--alpha", type=float, help="How probable a wrong rollback may be: 0.01 is 1 %.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(["server_errors", "slow", "shadow_differs", "out_of_range", "wrong_label"]),
    help="What is bad, instead of what was before; repeatable.",
)
@click.option("--abort/--no-abort", default=None, help="Roll a worse canary back without a person.")
@click.option("--promote/--no-promote", default=None, help="Go on to the next step without a person.")
@click.option("--on", is_flag=True, help="Watch, by the defaults.")
@click.option("--off", is_flag=True, help="Watch no more.")
@click.option("--request", is_flag=True, help="Ask another person to approve it, where that is needed.")
@reason_option
def policy(
    context: Context, model: str, alias: str, on: bool, off: bool, request: bool, reason: str | None, **rules: Any
) -> None:
    """Say how canaries of an alias are watched, or show it.

    A canary is split off with `amaas split`. What is left out stays as it is.
    """
    changes = {
        name: list(value) if name == "metrics" else value for name, value in rules.items() if value not in (None, ())
    }
    if off and (on or changes):
        raise click.UsageError("--off goes without rules")
    with context.client() as client:
        present: Json = (client.get_model(model).get("policies") or {}).get(alias) or {}
        if not (on or off or changes):
            context.report(present.get("release"), model, f"{alias} {release_sentence(present.get('release'))}")
            return
        release: Json | bool = False if off else {**(present.get("release") or {}), **changes}
        if request:
            waiting = client.create_policy_request(model, alias, release=release, reason=reason)
            number = waiting["request"]
            text = f"request {number} waits: another person runs amaas approve {model} {number}"
            context.report(waiting, model, text)
            return
        changed = client.set_alias_policy(model, alias, release=release, reason=reason)
    context.report(changed, model, f"{alias} {release_sentence(changed.get('release'))}")
