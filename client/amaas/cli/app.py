"""The command `amaas`, whole: which module has which verbs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import click

from amaas import __version__
from amaas.cli.base import HELP
from amaas.cli.ending import ended, ours

MODULES = {
    "aliases": ("alias", "approve", "promote", "protect", "reject", "rollback", "split"),
    "batch": ("batch",),
    "chat": ("chat",),
    "completion": ("completion",),
    "check": ("check",),
    "cost": ("cost",),
    "drift": ("accuracy", "drift"),
    "init": ("init",),
    "labels": ("label",),
    "login": ("login", "logout", "profiles"),
    "logs": ("logs",),
    "history": ("diff", "history", "verify"),
    "models": ("delete", "edit", "ls", "restore", "retire", "show", "signature", "status", "versions"),
    "optimize": ("optimize",),
    "policy": ("policy",),
    "predict": ("explain", "infer", "predict", "rerank"),
    "pull": ("pull",),
    "release": ("release",),
    "stats": ("stats",),
    "tokens": ("token",),
    "training": ("train",),
    "tune": ("tune",),
    "uploads": ("push", "redrive", "upload", "uploads"),
}

Resolved = tuple[str | None, click.Command | None, list[str]]  # as click has it


class Verbs(click.Group):
    """Imports a module when one of its verbs is called, and all of them to list them."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for module, names in MODULES.items():
            if cmd_name in names:
                verbs = import_module(f"amaas.cli.{module}").verbs
                command: click.Command | None = verbs.get_command(ctx, cmd_name)
                return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Resolved:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0].lower(), self.list_commands(ctx), 1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """As click's, but it ends as ending.py says."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        sys.exit(ended(run, sys.argv[1:] if args is None else args))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with ours():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with ours():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for names in MODULES.values() for name in names)


@click.group(cls=Verbs, context_settings={"help_option_names": HELP})
@click.version_option(__version__)
def main() -> None:
    """Put models into service, call them, and move between their versions."""
