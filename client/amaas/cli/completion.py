"""The verbs of completion: the shell completes verbs and options after Tab."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

import click
from click.shell_completion import get_completion_class

from amaas.cli.base import Context, verb
from amaas.errors import AmaasError

verbs = click.Group()
SHELLS = ("bash", "zsh", "fish")
MARK = "# completion of amaas"
shell_option = click.option("--shell", type=click.Choice(SHELLS), help="Default: the one of SHELL.")


@verbs.group()
def completion() -> None:
    """Have the shell complete verbs and options.

    In bash (4.4 or later), zsh and fish.
    """


@verb(completion, "install")
@shell_option
def install_completion(context: Context, shell: str | None) -> None:
    """Install the completion for this user: a file, and for bash and zsh a line in ~/.bashrc or ~/.zshrc."""
    shell = shell or _of_user()
    place = _place(shell)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_script(shell), encoding="utf-8")
        settings = None if shell == "fish" else _load_from_settings(shell, place)
    except OSError as error:
        raise AmaasError(f"{error.filename or place} cannot be written: {error.strerror or error}") from error
    loaded = f", which {settings} loads" if settings else ""
    answer = {"shell": shell, "file": str(place), "settings": str(settings) if settings else None}
    context.report(answer, shell, f"completes amaas in new shells, by {place}{loaded}")


@verb(completion, "show")
@shell_option
def show_completion(context: Context, shell: str | None) -> None:
    """Print the completion, to be put where the shell looks for it."""
    script = _script(shell or _of_user())
    context.answer({"script": script}, lambda out: out.out(script, highlight=False))


def _of_user() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError(f"SHELL says {name or 'no shell'}: give --shell, one of {', '.join(SHELLS)}")
    return name


def _script(shell: str) -> str:
    kind = get_completion_class(shell)
    assert kind is not None, "click has it"
    return kind(click.get_current_context().find_root().command, {}, "amaas", "_AMAAS_COMPLETE").source()


def _place(shell: str) -> Path:
    if shell == "fish":
        return _folder("XDG_CONFIG_HOME", ".config") / "fish" / "completions" / "amaas.fish"
    return _folder("XDG_DATA_HOME", ".local/share") / "amaas" / f"completion.{shell}"


def _folder(variable: str, usual: str) -> Path:
    own = os.environ.get(variable, "")
    return Path(own) if os.path.isabs(own) else Path.home() / usual


def _load_from_settings(shell: str, place: Path) -> Path:
    """Have the shell's own file load it, once. Returns that file."""
    folder = Path(os.environ.get("ZDOTDIR") or Path.home()) if shell == "zsh" else Path.home()
    settings = folder / f".{shell}rc"
    present = settings.read_text(encoding="utf-8", errors="surrogateescape") if settings.exists() else ""
    if MARK not in present:
        begin = "" if not present or present.endswith("\n") else "\n"
        needed = "autoload -Uz compinit && compinit; " if shell == "zsh" and "compinit" not in present else ""
        with settings.open("a", encoding="utf-8") as file:
            file.write(f"{begin}[ -f {quote(str(place))} ] && {{ {needed}. {quote(str(place))}; }}  {MARK}\n")
    return settings
