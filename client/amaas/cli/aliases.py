"""The verbs that change what is served: promote, split, roll back, approve; and those of aliases."""

from __future__ import annotations

from typing import Any

import click

from amaas.cli.base import Context, reason_option, verb
from amaas.cli.display.text import policy_sentence, target_sentence

Json = dict[str, Any]
verbs = click.Group()
EFFECT = "in effect everywhere within the alias TTL (2 s unless the deployment sets another)"

alias_option = click.option("--alias", default="production", show_default=True)
expect_option = click.option(
    "--expect-revision", type=click.IntRange(0), help="Fail if the model has changed since this revision."
)
shadow_option = click.option(
    "--shadow",
    type=click.IntRange(1),
    help="A shadow version receives a copy of each request; its answer is discarded.",
)
request_argument = click.argument("number", type=click.IntRange(1), metavar="REQUEST")


@verb(verbs)
@click.argument("model")
@click.argument("version", type=click.IntRange(1))
@alias_option
@shadow_option
@reason_option
@expect_option
@click.option("--request", is_flag=True, help="Request it only; somebody else approves.")
def promote(context: Context, model: str, version: int, alias: str, request: bool, **change: int | str | None) -> None:
    """Point an alias to a version."""
    with context.client() as client:
        if request:
            pending = client.create_move_request(model, version, alias, **change)
            number = pending["request"]
            context.report(pending, model, f"request {number} waits for somebody else: amaas approve {model} {number}")
        else:
            _report_move(context, client.promote(model, version, alias, **change))


def weights_of(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[int, int]:
    """Callback: VERSION=WEIGHT … as {version: weight}."""
    weights = {}
    for value in values:
        version, _, weight = value.partition("=")
        if not (version.isdigit() and weight.isdigit()):
            raise click.BadParameter(f"{value!r} is not VERSION=WEIGHT, as in 3=90", context, parameter)
        if int(version) in weights:
            raise click.BadParameter(f"version {version} is given twice", context, parameter)
        weights[int(version)] = int(weight)
    total = sum(weights.values())
    if total != 100:
        hint = f"; in these parts, {_of_hundred(weights)}" if total else ""
        raise click.BadParameter(f"the weights have to be 100 in all, and are {total}{hint}", context, parameter)
    return weights


def _of_hundred(weights: dict[int, int]) -> str:
    """The same parts as whole numbers that are 100 in all: what is left over goes to the largest remainders."""
    total = sum(weights.values())
    shares = {version: 100 * weight // total for version, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda version: -(100 * weights[version] % total))
    for version in by_remainder[: 100 - sum(shares.values())]:
        shares[version] += 1
    return " ".join(f"{version}={share}" for version, share in shares.items())


@verb(verbs)
@click.argument("model")
@click.argument("weights", nargs=-1, required=True, callback=weights_of, metavar="VERSION=WEIGHT...")
@alias_option
@shadow_option
@reason_option
@expect_option
def split(context: Context, model: str, weights: dict[int, int], alias: str, **change: int | str | None) -> None:
    """Divide an alias's requests among versions.

    By weights that are 100 in all, as in: amaas split MODEL 3=90 4=10
    """
    with context.client() as client:
        _report_move(context, client.split(model, weights, alias, **change))


@verb(verbs)
@click.argument("model")
@alias_option
@click.option("--to", type=click.IntRange(1), help="A version. Default: the alias's previous target.")
@reason_option
@expect_option
def rollback(context: Context, model: str, alias: str, to: int | None, **change: int | str | None) -> None:
    """Point an alias to its previous target.

    Repeated, it goes further back, never forward again.
    """
    with context.client() as client:
        _report_move(context, client.rollback(model, alias, to=to, **change))


@verb(verbs)
@click.argument("model")
@request_argument
@reason_option
def approve(context: Context, model: str, number: int, reason: str | None) -> None:
    """Carry out a move that somebody else requested."""
    with context.client() as client:
        _report_move(context, client.approve_move_request(model, number, reason=reason))


@verb(verbs)
@click.argument("model")
@request_argument
@reason_option
def reject(context: Context, model: str, number: int, reason: str | None) -> None:
    """Close a move request without carrying it out.

    Also withdraws one's own.
    """
    with context.client() as client:
        closed = client.reject_move_request(model, number, reason=reason)
    context.report(closed, model, f"request {number} is closed")


@verbs.group()
def alias() -> None:
    """List, protect and remove aliases.

    `promote`, `split` and `rollback` move them.
    """


@verb(alias, "ls")
@click.argument("model")
def list_aliases(context: Context, model: str) -> None:
    """List the aliases of a model, who may move them, and the requests to do so."""
    from amaas.cli.display import models as display

    with context.client() as client:
        state = client.get_model(model)
    shown = {member: state.get(member) for member in ("aliases", "policies", "requests")}
    context.answer(shown, lambda out: display.aliases(out, state))


@verb(alias, "rm")
@click.argument("model")
@click.argument("alias")
@reason_option
@expect_option
def delete_alias(context: Context, model: str, alias: str, **change: int | str | None) -> None:
    """Remove an alias. `production` cannot be removed."""
    with context.client() as client:
        deleted = client.delete_alias(model, alias, **change)
    context.report(deleted, model, f"{alias} is removed, {EFFECT}")


@verb(verbs)
@click.argument("model")
@click.argument("alias")
@click.option("--two-person", is_flag=True, help="Moves take a request, and somebody else's approval.")
@click.option("--off", is_flag=True, help="Back to the default: `production` by scope promote, others by scope write.")
@click.option("--below-default", is_flag=True, help="Anybody with scope write may move it, `production`, too.")
@click.option("--request", is_flag=True, help="Ask another person to approve that it needs two persons no longer.")
@reason_option
def protect(
    context: Context,
    model: str,
    alias: str,
    two_person: bool,
    off: bool,
    below_default: bool,
    request: bool,
    reason: str | None,
) -> None:
    """Restrict who may move an alias.

    To callers with scope promote, or to two persons. What two persons move, two persons set free: --off --request.
    """
    if two_person + off + below_default > 1:
        raise click.UsageError("give one of --two-person, --off and --below-default")
    options: dict[str, bool] = {"protected": not below_default, "two_person": two_person}
    if off:
        options = {"default": True}
    elif below_default:
        options["below_default"] = True
    with context.client() as client:
        if request:
            waiting = client.create_policy_request(model, alias, reason=reason, **options)
            number = waiting["request"]
            context.report(
                waiting, model, f"request {number} waits: another person runs amaas approve {model} {number}"
            )
            return
        policy = client.set_alias_policy(model, alias, reason=reason, **options)
    context.report(policy, model, f"{alias} {policy_sentence(policy)}")


alias.add_command(protect)  # beside `promote` and its like, and with its neighbors


def _report_move(context: Context, move: Json) -> None:
    moved = f"{move['alias']} is now {target_sentence(move)}{_previous(move)}, {EFFECT}"
    context.report(move, move["model"], moved)


def _previous(move: Json) -> str:
    """Where a rollback would go: after a move, to where the alias was; after a rollback, a step further back."""
    if not move.get("previous"):
        return ""
    previous = target_sentence({"version": move["previous"], "split": move.get("previous_split")})
    return f" (a rollback goes to {previous})"
