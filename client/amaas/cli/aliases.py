"""The verbs that change what is served, and those that look back on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from amaas.cli.models import Context, main, reference, verb

TAKES_EFFECT = "in effect everywhere within the alias' time (2 s unless the deployment says otherwise)"

alias_option = click.option("--alias", default="production", show_default=True)
reason_option = click.option("--reason", help="Why; kept in the history.")
expect_option = click.option(
    "--expect-revision", type=click.IntRange(0), help="Fail if the model has changed since this revision."
)
shadow_option = click.option("--shadow", type=click.IntRange(1), help="A version that is asked too, unheard.")


def target(found: dict[str, Any]) -> str:
    """Where an alias points, in words."""
    split = ", ".join(f"{weight} to version {version}" for version, weight in (found.get("split") or {}).items())
    shadow = f", with version {found['shadow']} as shadow" if found.get("shadow") else ""
    return (split or f"version {found['version']}") + shadow


def back(done: dict[str, Any]) -> str:
    """Where a rollback would go. After a move, that is where the alias was; after a rollback, a step further."""
    if not done.get("previous"):
        return ""
    return f" (a rollback goes to {target({'version': done['previous'], 'split': done.get('previous_split')})})"


def moved(context: Context, done: dict[str, Any]) -> None:
    from amaas.cli import tables

    said = f"{done['alias']} is now {target(done)}{back(done)}, {TAKES_EFFECT}"
    context.answer(done, lambda out: tables.line(out, done["model"], said))


def said(context: Context, done: dict[str, Any], text: str) -> None:
    from amaas.cli import tables

    context.answer(done, lambda out: tables.line(out, done["model"], text))


@verb(main)
@click.argument("model")
@click.argument("version", type=click.IntRange(1))
@alias_option
@shadow_option
@reason_option
@expect_option
@click.option("--request", is_flag=True, help="Ask for it; somebody else approves.")
def promote(context: Context, model: str, version: int, alias: str, request: bool, **options: int | str | None) -> None:
    """Point an alias at a version."""
    with context.client() as client:
        if request:
            asked = client.request(model, version, alias, **options)
            number = asked["request"]
            said(context, asked, f"request {number} waits for somebody else: amaas approve {model} {number}")
            return
        moved(context, client.promote(model, version, alias, **options))


def weight(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[int, int]:
    """VERSION=WEIGHT … as {version: weight}."""
    found = {}
    for value in values:
        version, _, share = value.partition("=")
        if not (version.isdigit() and share.isdigit()):
            raise click.BadParameter(f"{value!r} is not VERSION=WEIGHT, as in 3=90", context, parameter)
        found[int(version)] = int(share)
    return found


@verb(main)
@click.argument("model")
@click.argument("weights", nargs=-1, required=True, callback=weight, metavar="VERSION=WEIGHT...")
@alias_option
@shadow_option
@reason_option
@expect_option
def split(context: Context, model: str, weights: dict[int, int], alias: str, **options: int | str | None) -> None:
    """Share an alias' calls between versions: amaas split MODEL 3=90 4=10."""
    with context.client() as client:
        moved(context, client.split(model, weights, alias, **options))


@verb(main)
@click.argument("model")
@alias_option
@click.option("--to", type=click.IntRange(1), help="A version; else what the alias named before.")
@reason_option
@expect_option
def rollback(context: Context, model: str, alias: str, to: int | None, **options: int | str | None) -> None:
    """Send an alias back to what it named before; once more goes further back, never forward again."""
    with context.client() as client:
        moved(context, client.rollback(model, alias, to=to, **options))


@verb(main)
@click.argument("model")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@reason_option
def approve(context: Context, model: str, number: int, reason: str | None) -> None:
    """Carry out what somebody else asked for."""
    with context.client() as client:
        moved(context, client.approve(model, number, reason=reason))


@verb(main)
@click.argument("model")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@reason_option
def reject(context: Context, model: str, number: int, reason: str | None) -> None:
    """Close a request; one's own is withdrawn so."""
    with context.client() as client:
        said(context, client.reject(model, number, reason=reason), f"request {number} is closed")


@verb(main)
@click.argument("model")
@click.argument("alias")
@click.option("--two-person", is_flag=True, help="Moves take a request, and somebody else's approval.")
@click.option("--off", is_flag=True, help="Whoever may write may move it.")
def protect(context: Context, model: str, alias: str, two_person: bool, off: bool) -> None:
    """Say who may move an alias: scope promote alone, or two persons."""
    if two_person and off:
        raise click.UsageError("give either --two-person or --off")
    with context.client() as client:
        done = client.protect(model, alias, protected=not off, two_person=two_person)
    how = "moved by two persons" if two_person else "moved by scope write" if off else "moved by scope promote alone"
    said(context, done, f"{alias} is {how}")


@verb(main)
@click.argument("model", callback=reference, metavar="MODEL@VERSION")
@reason_option
def retire(context: Context, model: tuple[str, str | None], reason: str | None) -> None:
    """Take a version out of use, until it is restored."""
    name, version = model
    if version is None or not version.isdigit():
        raise click.UsageError("name the version by its number, as in my-model@3")
    with context.client() as client:
        said(context, client.retire(name, int(version), reason=reason), f"version {version} is retired")


@verb(main)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@reason_option
def restore(context: Context, model: tuple[str, str | None], reason: str | None) -> None:
    """Put a retired version back into use, or undo the deletion of a model."""
    name, version = model
    if version is not None and not version.isdigit():
        raise click.UsageError("name the version by its number, as in my-model@3")
    with context.client() as client:
        done = client.restore(name, int(version) if version else None, reason=reason)
    said(context, done, f"version {version} is in use again" if version else "is in service again")


@verb(main)
@click.argument("model")
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(context: Context, model: str, reason: str | None, yes: bool) -> None:
    """Take a model out of service as a whole. It can be restored for a week."""
    if not yes:
        click.confirm(f"Take {model} out of service, with all its versions?", abort=True, err=True)
    with context.client() as client:
        done = client.delete(model, reason=reason)
    said(context, done, f"is deleted; for a week, `amaas restore {model}` brings it back")


@verb(main)
@click.argument("model")
@click.option("--tag", "tags", multiple=True, help="A tag; all of them are replaced.")
@click.option("--card", type=click.Path(exists=True, dir_okay=False), help="A Markdown file.")
@reason_option
def edit(context: Context, model: str, tags: tuple[str, ...], card: str | None, reason: str | None) -> None:
    """Replace a model's tags or its card."""
    text = Path(card).read_text(encoding="utf-8") if card else None
    with context.client() as client:
        done = client.edit(model, card=text, tags=list(tags) or None, reason=reason)
    said(context, done, f"is edited; its tags are {', '.join(done['tags']) or 'none'}")


@verb(main)
@click.argument("model")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many records.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
def history(context: Context, model: str, limit: int, everything: bool) -> None:
    """Who changed what, when and why; newest first."""
    from amaas.cli import history as records

    with context.client() as client:
        found = client.history(model, None if everything else limit)
    context.answer(found, lambda out: records.history(out, found))


def anchor(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, str] | None:
    """REVISION:DIGEST as a pair."""
    if value is None:
        return None
    revision, _, digest = value.partition(":")
    if not revision.isdigit() or len(digest) != 64:
        raise click.BadParameter(f"{value!r} is not REVISION:DIGEST", context, parameter)
    return int(revision), digest


@verb(main)
@click.argument("model")
@click.option("--anchor", callback=anchor, help="REVISION:DIGEST of an earlier verification, to compare with.")
def verify(context: Context, model: str, anchor: tuple[int, str] | None) -> None:
    """Check that every record of a model's log is there, unchanged, in its place, and signed."""
    from amaas.cli import history as records

    with context.client() as client:
        found = client.verify(model)
        if anchor and not client.anchored(model, *anchor):
            problem = {"revision": anchor[0], "what": "the record is another one than the anchor says, or is gone"}
            found = found | {"verified": False, "problems": [*found["problems"], problem]}
    context.answer(found, lambda out: records.verified(out, model, found))
    if not found["verified"]:
        sys.exit(1)


@verb(main)
@click.argument("model")
@click.argument("old", required=False, metavar="FROM")
@click.argument("new", required=False, metavar="TO")
def diff(context: Context, model: str, old: str | None, new: str | None) -> None:
    """What differs between two versions; by default, production and the latest."""
    from amaas.cli import history as records

    with context.client() as client:
        found = client.diff(model, old, new)
    context.answer(found, lambda out: records.differences(out, found))


@verb(main)
@click.argument("model")
def uploads(context: Context, model: str) -> None:
    """What became of each upload of a model, and why."""
    from amaas.cli import history as records

    with context.client() as client:
        rows = client.uploads(model)
    context.answer(rows, lambda out: records.uploads(out, rows))
