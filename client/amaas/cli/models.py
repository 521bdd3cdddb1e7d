"""The `amaas` command. Exit status: 0 fine, 1 it did not work, 2 wrong usage, 3 the package was rejected.

What it does is in client.py, how answers look in show.py; both are imported late, so that `amaas --help` is quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from amaas.errors import AmaasError, Rejected

if TYPE_CHECKING:
    from amaas.client import Client


class Folder(click.Path):
    """A folder on this machine: of s3://BUCKET/…, one named s3: would be made."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail("the folder is on this machine: give one, and copy it from there", param, ctx)
        return super().convert(value, param, ctx)


class Context:
    """What every verb shares: how to reach the service, and how to answer."""

    def __init__(self, url: str | None, token: str | None, as_json: bool) -> None:
        self.url, self.token, self.as_json = url, token, as_json

    def client(self) -> Client:
        from amaas.client import Client

        return Client(self.url, self.token)

    def answer(self, data: Any, show: Callable[[Any], None]) -> None:
        """data as JSON, else what show(console) prints."""
        if self.as_json:
            click.echo(json.dumps(data, indent=2, ensure_ascii=False))
            return
        from amaas.cli.tables import console

        show(console())

    def rejected(self, refused: Rejected) -> None:
        if self.as_json:
            click.echo(json.dumps(refused.upload, indent=2, ensure_ascii=False))
        complain(f"the package was rejected{f' ({refused.code})' if refused.code else ''}: {refused}")


def complain(message: str) -> None:
    from amaas.cli.tables import clean

    click.echo(f"amaas: {clean(message)}", err=True)


class HandingOn(click.Command):
    """A verb that hands on what stands behind --."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            error.message = (
                f"{name} is no option of `amaas {self.name}`. What is for the training goes behind --: -- {name}"
            )
            error.possibilities = None
            raise


def verb(
    group: click.Group, name: str | None = None, kind: type[click.Command] = click.Command
) -> Callable[[Callable[..., None]], click.Command]:
    """A command with the options that all of them have; its function gets a Context first."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for programs.")
        @click.option("--url", help="Where the API is. Else AMAAS_URL, else .local/amaas.json.")
        @click.option("--token", help="Who is calling. Else AMAAS_TOKEN, else .local/amaas.json.")
        @wraps(function)
        def run(*args: Any, url: str | None, token: str | None, as_json: bool, **options: Any) -> None:
            context = Context(url, token, as_json)
            try:
                function(context, *args, **options)
            except Rejected as rejected:
                context.rejected(rejected)
                sys.exit(3)
            except (AmaasError, PermissionError, FileNotFoundError) as error:
                complain(str(error))
                sys.exit(1)

        return group.command(name, cls=kind)(run)

    return decorate


def reference(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, str | None]:
    """MODEL[@VERSION or ALIAS] as (model, version or None)."""
    model, at, version = value.partition("@")
    if not model or (at and not version):
        raise click.BadParameter(f"{value!r} is not MODEL, MODEL@VERSION or MODEL@ALIAS", context, parameter)
    return model, version or None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="amaas")
def main() -> None:
    """Put models into service, call them, and move between their versions."""


@verb(main)
@click.argument("path", type=click.Path(exists=True))
@click.option("--model", help="The model's name. Else the one in amaas.json, else the file's.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the verdict.")
@click.option("--timeout", type=click.FloatRange(0), default=300, show_default=True, help="Seconds to wait for it.")
def push(context: Context, path: str, model: str | None, no_wait: bool, timeout: float) -> None:
    """Upload a package folder or an .onnx file, and wait until it is a version."""
    from amaas.cli import tables as show
    from amaas.cli.progress import sending

    with context.client() as client, sending(model or path, quiet=context.as_json) as report:
        state = client.push(path, model, on_progress=report, wait=not no_wait, timeout=timeout)
    if "version" in state:
        context.answer(state, lambda out: show.line(out, state["model"], f"version {state['version']} is registered"))
    else:
        context.answer(state, lambda out: show.line(out, state["model"], f"{state['upload_id']} is {state['state']}"))


@verb(main)
@click.option("--search", help="Only models whose name contains this.")
@click.option("--task", help="Only models of this task.")
@click.option("--tag", help="Only models with this tag.")
def ls(context: Context, search: str | None, task: str | None, tag: str | None) -> None:
    """List the models."""
    from amaas.cli import tables as show

    with context.client() as client:
        rows = client.models(search, task=task, tag=tag)
    context.answer(rows, lambda out: show.models(out, rows))


@verb(main, "show")
@click.argument("model", callback=reference)
def show_model(context: Context, model: tuple[str, str | None]) -> None:
    """Show a model with its versions and card, or one version: MODEL[@VERSION or ALIAS]."""
    from amaas.cli import tables as show

    name, version = model
    with context.client() as client:
        found = client.model(name) if version is None else client.version(name, version)
    context.answer(found, lambda out: show.model(out, found) if version is None else show.version(out, name, found))


@verb(main)
@click.argument("model", callback=reference)
@click.argument("input", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--data", help="The input written out: JSON, or with --type text/plain a text.")
@click.option("--type", "content_type", help="Content type of the input. Else by its bytes.")
@click.option("--top-k", type=click.IntRange(1), help="How many labels to answer.")
@click.option("--key", help="Who is asking: the same key gets the same version of a split.")
def predict(
    context: Context,
    model: tuple[str, str | None],
    input: str | None,
    data: str | None,
    content_type: str | None,
    top_k: int | None,
    key: str | None,
) -> None:
    """Ask a model: MODEL[@VERSION or ALIAS] about INPUT, a file, or - for standard input."""
    from amaas.cli import tables as show

    if (input is None) == (data is None):
        raise click.UsageError("give either INPUT or --data")
    written = _written(data, content_type) if data is not None else None
    content = written if written is not None else sys.stdin.buffer.read() if input == "-" else str(input)
    options = {"top_k": str(top_k)} if top_k else {}
    name, version = model
    with context.client() as client:
        answer = client.predict(name, content, version, content_type=content_type, options=options, key=key)
    context.answer(answer, lambda out: show.predictions(out, answer))


@verb(main)
@click.argument("model", callback=reference)
@click.argument("input", type=click.Path(exists=True, dir_okay=False))
@click.option("--label", help="The class to explain. Else the best one.")
@click.option("--method", type=click.Choice(["occlusion", "rise", "cam"]), help="Of images.")
@click.option("--type", "content_type", help="Content type of the input. Else by its bytes.")
@click.option(
    "--out", type=click.Path(dir_okay=False, writable=True), help="Of an image: a PNG with the reasons in red."
)
def explain(
    context: Context,
    model: tuple[str, str | None],
    input: str,
    label: str | None,
    method: str | None,
    content_type: str | None,
    out: str | None,
) -> None:
    """Why a model answers INPUT, a file, as it does: what speaks for a class, and how much."""
    from pathlib import Path

    from amaas.cli import tables as show

    name, version = model
    options = {key: value for key, value in (("label", label), ("method", method)) if value is not None}
    with context.client() as client:
        why = client.explain(name, input, version, content_type=content_type, options=options, picture=out is not None)
    if isinstance(why, bytes):
        Path(str(out)).write_bytes(why)
        context.answer({"picture": out}, lambda show_out: show.line(show_out, name, f"the reasons are in {out}"))
    else:
        context.answer(why, lambda show_out: show.reasons(show_out, why))


def _written(data: str, content_type: str | None) -> bytes:
    if content_type is None or content_type.endswith("json"):
        try:
            json.loads(data)
        except ValueError as error:
            hint = "; a text or CSV needs its --type, as text/plain"
            raise click.BadParameter(f"is no valid JSON: {error}{hint}", param_hint="--data") from error
    return data.encode()


@verb(main)
def status(context: Context) -> None:
    """Whether the service answers, where, and with how many models."""
    from amaas.cli import tables as show

    with context.client() as client:
        found = client.status()
    context.answer(found, lambda out: show.status(out, found))


@main.group()
def token() -> None:
    """Make, list and revoke tokens."""


@verb(token, "create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="infer, read, write, promote, train or admin, or infer:PATTERN.",
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="After how many days it expires.")
def create(context: Context, name: str, scopes: tuple[str, ...], days: float | None) -> None:
    """Make a token. It is shown this once."""
    from amaas.cli import tables as show

    with context.client() as client:
        made = client.create_token(name, list(scopes), days)
    context.answer(made, lambda out: show.new_token(out, made))


@verb(token, "ls")
def list_tokens(context: Context) -> None:
    """List the tokens, revoked ones too."""
    from amaas.cli import tables as show

    with context.client() as client:
        rows = client.tokens()
    context.answer(rows, lambda out: show.tokens(out, rows))


@verb(token, "revoke")
@click.argument("id")
def revoke(context: Context, id: str) -> None:
    """Revoke a token."""
    from amaas.cli import tables as show

    with context.client() as client:
        gone = client.revoke_token(id)
    context.answer(gone, lambda out: show.line(out, f"token {gone['id']}", "is revoked"))


from amaas.cli import aliases, batch, optimize, training  # noqa: E402 - they add their commands to `main`

__all__ = ["aliases", "batch", "main", "optimize", "training"]
