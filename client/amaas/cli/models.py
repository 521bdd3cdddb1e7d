"""The verbs of models and versions: list, show, edit, retire, delete, restore; and the service's status."""

from __future__ import annotations

from pathlib import Path

import click

from amaas.cli.base import Context, main, numbered, reference, verb

reason_option = click.option("--reason", help="Stored in the history.")


@verb(main)
def status(context: Context) -> None:
    """Does the service answer, where is it, and how many models does it have?"""
    from amaas.cli.display import models as display

    with context.client() as client:
        state = client.status()
    context.answer(state, lambda out: display.status(out, state))


@verb(main)
@click.option("--search", help="Only models whose name, task or tags contain this.")
@click.option("--task", help="Only models of this task.")
@click.option("--tag", help="Only models with this tag.")
def ls(context: Context, search: str | None, task: str | None, tag: str | None) -> None:
    """List the models."""
    from amaas.cli.display import models as display

    with context.client() as client:
        models = client.list_models(search, task=task, tag=tag)
    context.answer(models, lambda out: display.models(out, models))


@verb(main)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
def show(context: Context, model: tuple[str, str | None]) -> None:
    """Show a model with its newest versions and its card, or one version, by number or alias."""
    from amaas.cli.display import models as display

    name, version = model
    with context.client() as client:
        answer = client.get_model(name) if version is None else client.get_version(name, version)
    if version is None:
        context.answer(answer, lambda out: display.model(out, answer))
    else:
        context.answer(answer, lambda out: display.version(out, name, answer))


@verb(main)
@click.argument("model")
def versions(context: Context, model: str) -> None:
    """List all versions of a model, newest first."""
    from amaas.cli.display import models as display

    with context.client() as client:
        rows = client.list_versions(model)
        aliases = {} if context.as_json else client.get_model(model)
    context.answer(rows, lambda out: display.versions(out, aliases, rows))


@verb(main)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
def signature(context: Context, model: tuple[str, str | None]) -> None:
    """Show the OpenSSF signature of a version's package; with --json, all that its verification needs."""
    name, version = model
    with context.client() as client:
        signed = client.get_version_signature(name, version or "production")
    files = ", ".join(signed["files"])
    context.report(signed, name, f"version {signed['version']} is signed: {files}; --json prints the signature")


@verb(main)
@click.argument("model")
@click.option("--tag", "tags", multiple=True, help="A tag; replaces all present ones.")
@click.option("--card", type=click.Path(exists=True, dir_okay=False), help="A Markdown file.")
@reason_option
def edit(context: Context, model: str, tags: tuple[str, ...], card: str | None, reason: str | None) -> None:
    """Replace a model's tags or its card."""
    text = Path(card).read_text(encoding="utf-8") if card else None
    with context.client() as client:
        updated = client.update_model(model, card=text, tags=list(tags) or None, reason=reason)
    context.report(updated, model, f"is edited; its tags are {', '.join(updated['tags']) or 'none'}")


@verb(main)
@click.argument("model", callback=numbered, metavar="MODEL@VERSION")
@reason_option
def retire(context: Context, model: tuple[str, int | None], reason: str | None) -> None:
    """Take a version out of use, until it is restored."""
    name, version = model
    if version is None:
        raise click.UsageError("give the version by its number, as in my-model@3")
    with context.client() as client:
        retired = client.retire_version(name, version, reason=reason)
    context.report(retired, name, f"version {version} is retired")


@verb(main)
@click.argument("model", callback=numbered, metavar="MODEL[@VERSION]")
@reason_option
def restore(context: Context, model: tuple[str, int | None], reason: str | None) -> None:
    """Take a retired version into use again, or undo the deletion of a model."""
    name, version = model
    with context.client() as client:
        if version is None:
            context.report(client.restore_model(name, reason=reason), name, "is in service again")
        else:
            restored = client.restore_version(name, version, reason=reason)
            context.report(restored, name, f"version {version} is in use again")


@verb(main)
@click.argument("model")
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(context: Context, model: str, reason: str | None, yes: bool) -> None:
    """Take a model out of service, with all its versions. It can be restored for a week."""
    if not yes:
        click.confirm(f"Take {model} out of service, with all its versions?", abort=True, err=True)
    with context.client() as client:
        deleted = client.delete_model(model, reason=reason)
    context.report(deleted, model, f"is deleted; for a week, `amaas restore {model}` undoes that")
