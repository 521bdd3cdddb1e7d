"""Putting a version that was just trained behind an alias: all of its requests, or a canary's share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from amaas.cli.base import Context
from amaas.cli.display.text import target_sentence
from amaas.errors import AmaasError, ApiError

if TYPE_CHECKING:
    from amaas.client import Client

Json = dict[str, Any]


class Rollout(NamedTuple):
    """alias: None to move none. canary: the new version's share of the requests in percent; None for all."""

    alias: str | None
    canary: int | None

    @classmethod
    def of(cls, alias: str | None, canary: int | None) -> Rollout:
        return cls(alias or ("production" if canary else None), canary)


def rollout_options(function: Callable[..., None]) -> Callable[..., None]:
    """--to and --canary."""
    share = click.option(
        "--canary", type=click.IntRange(1, 99), help="Send it only this share of the alias's requests, in percent."
    )
    return click.option("--to", "alias", help="Point this alias to the new version.")(share(function))


def finish(context: Context, client: Client, state: Json, rollout: Rollout) -> None:
    """Say which version a training became, and move the alias."""
    model, version = state["model"], state["version"]
    text = f"version {version} is registered"
    if rollout.alias is not None:
        try:
            target = move(client, model, version, rollout.alias, rollout.canary)
        except ApiError as error:
            raise AmaasError(f"{model} {text}, but {rollout.alias} was not moved: {error}") from error
        state = state | {"alias": target}
        text += f", {rollout.alias} is now {target_sentence(target)}"
    context.report(state, model, text)


def move(client: Client, model: str, version: int, alias: str, canary: int | None) -> Json:
    """Point an alias to a version, or give the version a share in percent beside the alias's present version."""
    present = (client.get_model(model).get("aliases") or {}).get(alias)
    if present and present.get("version") == version and not present.get("split"):
        return {"alias": alias, **present}  # the first version of a model is in production at once
    reason = "trained by amaas train"
    if canary is None or not present:
        return client.promote(model, version, alias, reason=reason)
    if present.get("split"):
        raise AmaasError(
            f"{model} version {version} is registered, but {alias} is split already: "
            f"give all weights by `amaas split {model} VERSION=WEIGHT…`"
        )
    return client.split(model, {present["version"]: 100 - canary, version: canary}, alias, reason=reason)
