"""The verbs of models and versions: list, show, edit, retire, delete, restore; and the service's status."""

from __future__ import annotations

from pathlib import Path

import click

from amaas.cli.base import Context, numbered, reason_option, reference, verb

verbs = click.Group()


@verb(verbs)
def status(context: Context) -> None:
    """Show whether the service answers, and where.

    Also the number of models, if the token may list them.
    """
    from amaas.cli.display import models as display

    with context.client() as client:
        state = client.status()
    context.answer(state, lambda out: display.status(out, state))


@verb(verbs)
@click.option("--search", help="Only models whose name, task or tags contain this.")
@click.option("--task", help="Only models of this task.")
@click.option("--tag", help="Only models with this tag.")
def ls(context: Context, search: str | None, task: str | None, tag: str | None) -> None:
    """List the models."""
    from amaas.cli.display import models as display

    with context.client() as client:
        models = client.list_models(search, task=task, tag=tag)
    context.answer(models, lambda out: display.models(out, models))


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
def show(context: Context, model: tuple[str, str | None]) -> None:
    """Show a model, or one version.

    A model with its newest versions and its card; a version, by number or alias, with its tensors and checks.
    """
    from amaas.cli.display import models as display

    name, version = model
    with context.client() as client:
        answer = client.get_model(name) if version is None else client.get_version(name, version)
    if version is None:
        context.answer(answer, lambda out: display.model(out, answer))
    else:
        context.answer(answer, lambda out: display.version(out, name, answer))


@verb(verbs)
@click.argument("model")
def versions(context: Context, model: str) -> None:
    """List all versions of a model, newest first."""
    from amaas.cli.display import models as display

    with context.client() as client:
        rows = client.list_versions(model)
        aliases = {} if context.as_json else client.get_model(model)
    context.answer(rows, lambda out: display.versions(out, aliases, rows))


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
def signature(context: Context, model: tuple[str, str | None]) -> None:
    """Show the signature of a version's package.

    With --json, the OpenSSF bundle, the digests of the files, and the public keys.
    """
    name, version = model
    with context.client() as client:
        signed = client.get_version_signature(name, version or "production")
    files = ", ".join(signed["files"])
    context.report(signed, name, f"version {signed['version']} is signed: {files}; --json prints the signature")


@verb(verbs)
@click.argument("model")
@click.option("--tag", "tags", multiple=True, help="A tag; replaces all present ones.")
@click.option("--card", type=click.Path(exists=True, dir_okay=False), help="A Markdown file.")
@reason_option
def edit(context: Context, model: str, tags: tuple[str, ...], card: str | None, reason: str | None) -> None:
    """Replace a model's tags or its card."""
    try:
        text = Path(card).read_text(encoding="utf-8-sig") if card else None
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{card} is not UTF-8: save it as that", param_hint="--card") from error
    with context.client() as client:
        updated = client.update_model(model, card=text, tags=list(tags) or None, reason=reason)
    context.report(updated, model, f"is edited; its tags are {', '.join(updated['tags']) or 'none'}")


@verb(verbs)
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


@verb(verbs)
@click.argument("model", callback=numbered, metavar="MODEL[@VERSION]")
@reason_option
def restore(context: Context, model: tuple[str, int | None], reason: str | None) -> None:
    """Undo `retire` or `delete`.

    Takes a retired version into use again, or a deleted model into service.
    """
    name, version = model
    with context.client() as client:
        if version is None:
            context.report(client.restore_model(name, reason=reason), name, "is in service again")
        else:
            restored = client.restore_version(name, version, reason=reason)
            context.report(restored, name, f"version {version} is in use again")


@verb(verbs)
@click.argument("model")
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(context: Context, model: str, reason: str | None, yes: bool) -> None:
    """Take a model out of service.

    With all its versions. It can be restored for a week.
    """
    if not yes:
        click.confirm(f"Take {model} out of service, with all its versions?", abort=True, err=True)
    with context.client() as client:
        deleted = client.delete_model(model, reason=reason)
    context.report(deleted, model, f"is deleted; for a week, `amaas restore {model}` undoes that")
