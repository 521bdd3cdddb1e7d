"""What all verbs share. How they end: ending.py.

Verbs import the client and display/ inside their functions: httpx and rich are slow to import, and `amaas --help` needs
neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from amaas.cli.display.text import as_json, echo
from amaas.errors import Rejected

if TYPE_CHECKING:
    from amaas.client import Client

HELP = ["-h", "--help"]
reason_option = click.option("--reason", help="Stored in the history.")


class Context:
    """How to reach the service, and how to answer."""

    def __init__(self, url: str | None, token: str | None, profile: str | None, as_json: bool) -> None:
        self.url, self.token, self.profile, self.as_json = url, token, profile, as_json

    def client(self) -> Client:
        from amaas.client import Client

        return Client(self.url, self.token, profile=self.profile)

    def answer(self, data: Any, show: Callable[[Any], None]) -> None:
        """Print data as JSON, or what show(console) prints."""
        if self.as_json:
            click.echo(as_json(data, indent=2))
            return
        from amaas.cli.display.tables import console

        show(console())

    def report(self, data: Any, subject: str, *text: str) -> None:
        """Print data as JSON, or one line: the subject in bold, and what is to be said of it."""

        def show(out: Any) -> None:
            from amaas.cli.display import tables

            tables.line(out, subject, *text)

        self.answer(data, show)

    def show_rejected(self, rejected: Rejected) -> None:
        if self.as_json:
            click.echo(as_json(rejected.upload, indent=2))


def note(message: str) -> None:
    """A line on standard error: an error, or what happens meanwhile."""
    echo(f"amaas: {message}", err=True)


def removed(receipt: dict[str, Any]) -> str:
    """How much a deletion has removed."""
    text = f"{receipt['objects']} objects removed, with {receipt['versions']} versions of {receipt['bytes']:,} bytes"
    if kept := receipt.get("kept"):
        text += f"; {kept} versions stay, hidden, until the bucket's Object Lock lets them go"
    return text


class OutputFile(click.Path):
    """A file to be written, in a folder that is there: what is asked for takes time, and would be lost."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        folder = os.path.dirname(os.fspath(value)) or "."
        if not os.path.isdir(folder):
            self.fail(f"there is no folder {folder!r} to write it to: make it first, or name another", param, ctx)
        return super().convert(value, param, ctx)


class LocalFolder(click.Path):
    """A folder on this machine: s3://BUCKET/… would create one named `s3:`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail("give a folder on this machine, and copy it from there", param, ctx)
        return super().convert(value, param, ctx)


class ForwardingCommand(click.Command):
    """A command that forwards the arguments after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            hint = f"Options of the training go behind `--`: -- {name}"
            message = f"{name} is not an option of `amaas {_typed_name(ctx)}`. {hint}"
            raise click.NoSuchOption(name, message, ctx=ctx) from error


def _typed_name(ctx: click.Context) -> str:
    """The command's name as users type it: without the default subcommand."""
    command = ctx.parent.command if ctx.parent and isinstance(ctx.parent.command, DefaultGroup) else ctx.command
    return str(command.name)


class DefaultGroup(click.Group):
    """A group with the default subcommand `run`: `amaas batch MODEL SOURCE` is `amaas batch run MODEL SOURCE`.

    older: options that subcommands have replaced, and still mean them: {"--cancel": "cancel"}.
    """

    DEFAULT = "run"

    def __init__(self, *args: Any, older: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.older = older or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._with_subcommand(args))

    def _with_subcommand(self, args: list[str]) -> list[str]:
        if not args or args[0] in self.commands or args[0] in HELP:
            return args
        end = args.index("--") if "--" in args else len(args)
        own, forwarded = args[:end], args[end:]
        for position, arg in enumerate(own):
            option, equals, value = arg.partition("=")
            if option in self.older:
                values = [value] if equals else own[position + 1 : position + 2]
                rest = own[:position] + own[position + (1 if equals else 2) :]
                return [self.older[option], *values, *rest, *forwarded]
        return [self.DEFAULT, *args]


def verb(
    group: click.Group, name: str | None = None, kind: type[click.Command] = click.Command
) -> Callable[[Callable[..., None]], click.Command]:
    """A command with the options that all of them have; its function gets a Context first."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
        @click.option(
            "--url", help="Address of the API. Default: AMAAS_URL, else the profile's, else .local/amaas.json."
        )
        @click.option("--token", help="Token of the caller. Default: AMAAS_TOKEN, else as of --url.")
        @click.option(
            "--profile", help="What `amaas login` stored by this name. Default: AMAAS_PROFILE, else `default`."
        )
        @wraps(function)
        def run(
            *args: Any, url: str | None, token: str | None, profile: str | None, as_json: bool, **options: Any
        ) -> None:
            context = Context(url, token, profile, as_json)
            try:
                function(context, *args, **options)
            except Rejected as rejected:
                context.show_rejected(rejected)
                raise

        return group.command(name, cls=kind)(run)

    return decorate


def older_name(group: click.Group, command: click.Command, name: str) -> None:
    """A name that a command had before: it works, and is not listed."""
    older = click.Command(name, hidden=True, callback=command.callback, params=command.params, help=command.help)
    group.add_command(older)


def reference(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, str | None]:
    """Callback: MODEL[@VERSION or ALIAS] as (model, version or None)."""
    model, at, version = value.partition("@")
    if not model or (at and not version):
        raise click.BadParameter(f"{value!r} is not MODEL, MODEL@VERSION or MODEL@ALIAS", context, parameter)
    return model, version or None


def numbered(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int | None]:
    """Callback: MODEL[@NUMBER] as (model, number or None)."""
    model, version = reference(context, parameter, value)
    if version is not None and not version.isdigit():
        raise click.BadParameter("give the version by its number, as in my-model@3", context, parameter)
    return model, int(version) if version else None
