"""The verb that brings a version back as a package folder."""

from __future__ import annotations

from pathlib import Path

import click

from amaas.cli.base import Context, LocalFolder, reference, verb

verbs = click.Group()


@verb(verbs)
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@click.option(
    "-o",
    "--out",
    type=LocalFolder(file_okay=False, path_type=Path),
    help="The folder. Default: one of the model's name.",
)
def pull(context: Context, model: tuple[str, str | None], out: Path | None) -> None:
    """Download a version as a package folder, to change it and push it again.

    Without a version, that of production. The golden set is not kept by the service, but for cases that are written out
    in amaas.json. Needs a token that may write the model.
    """
    from amaas.cli.display.progress import upload_progress

    name, version = model
    doing = {"verb": "downloading", "then": "writing"}
    with context.client() as client, upload_progress(name, quiet=context.as_json, **doing) as on_progress:
        pulled = client.pull(name, version or "production", out, on_progress)
    count = len(pulled["files"])
    context.report(pulled, f"{name}@{pulled['version']}", f"is in {pulled['folder']}: {count} files")
