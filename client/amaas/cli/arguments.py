"""The options of a training, which `amaas train` takes after `--`, as the service takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaas.errors import AmaasError

# options of training.train that `amaas train` or the job sets; what to do instead
RESERVED = {
    "data": "give --data before the --",
    "out": "give --out before the --",
    "name": "give --model before the --",
    "checkpoint": "checkpoints are in the output folder",
    "quiet": "omit it",
    "help": "`python -m training.train --help` lists the options",
}


def parse(words: Iterable[str]) -> dict[str, Any]:
    """`--epochs 20 --size 64 64 --no-flip` as {"epochs": "20", "size": ["64", "64"], "no-flip": True}.

    Raises AmaasError for what is not an option, and for those that are reserved: of two, the last would hold, and what
    is pushed would not be what was trained.
    """
    arguments: dict[str, Any] = {}
    name = None
    for argument in words:
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument[2:].partition("=")
            _check(name, arguments)
            arguments[name] = value if equals else True
        elif name is None:
            raise AmaasError(f"{argument!r} belongs to no option: write --name, --name value or --name=value")
        else:
            present = arguments[name]
            values = present if isinstance(present, list) else [present]
            arguments[name] = argument if present is True else [*values, argument]
    return arguments


def epochs(arguments: dict[str, Any]) -> int | None:
    """How many epochs a training takes; None if that is left to the training."""
    text = str(arguments.get("epochs", ""))
    return int(text) if text.isdigit() else None


def _check(name: str, arguments: dict[str, Any]) -> None:
    if name in RESERVED:
        raise AmaasError(f"--{name} is set by `amaas train` itself: {RESERVED[name]}")
    if name in arguments:
        raise AmaasError(f"--{name} is given twice")
