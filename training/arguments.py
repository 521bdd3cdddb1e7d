"""Options of a command line as frozen dataclasses: a field is an option, and is declared in one place.

No PyTorch in here: a package is made smaller without it.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
REQUIRED = dataclasses.MISSING


@dataclass(frozen=True)
class Option:
    """How a field is given on the command line, and what its value decides.

    parse: makes a value of one word; None for a flag without a value. const: the value of the option without one.
    yes_or_no: it has a --no- form, too. title: of its group in --help; else its dataclass's.
    kind: of the data that it is for; None for any. by_job: the container of a training job sets it, and a request may
    not. identity: it decides the weights, so that a checkpoint of another value is not continued. noted: the recipe
    tells it where it is not the default.
    """

    help: str
    parse: Callable[[str], Any] | None = str
    choices: Sequence[str] | None = None
    metavar: str | tuple[str, ...] | None = None
    nargs: int | str | None = None
    const: Any = None
    repeated: bool = False
    yes_or_no: bool = False
    title: str | None = None
    kind: str | None = None
    by_job: bool = False
    identity: bool = True
    noted: bool = False


def option(default: Any, help: str, parse: Callable[[str], Any] | None = str, **more: Any) -> Any:
    """A dataclass's field for one option. more: as in Option."""
    return dataclasses.field(default=default, metadata={"option": Option(help, parse, **more)})


def flag(help: str, **more: Any) -> Any:
    """An option without a value, off by default."""
    return option(False, help, None, **more)


def options(*groups: type) -> Iterator[tuple[str, Option, Any]]:
    """(name, Option, default) of each option of the dataclasses, in their order."""
    for group in groups:
        for field in dataclasses.fields(group):
            if "option" in field.metadata:
                yield field.name, field.metadata["option"], field.default


def spelled(name: str) -> str:
    """A field's name as its option: `no_flip` is `--no-flip`."""
    return f"--{name.replace('_', '-')}"


def add_options(parser: argparse.ArgumentParser, title: str, group: type) -> None:
    """Each option of the dataclass under `title`, or under the title that it names itself."""
    for name, described, default in options(group):
        _add(_titled(parser, described.title or title), name, described, default)


def _titled(parser: argparse.ArgumentParser, title: str) -> argparse._ArgumentGroup:
    there = (group for group in parser._action_groups if group.title == title)
    return next(there, None) or parser.add_argument_group(title)


def _add(group: argparse._ArgumentGroup, name: str, described: Option, default: Any) -> None:
    more: dict[str, Any] = {"help": described.help}
    more |= {"required": True} if default is REQUIRED else {"default": default}
    if described.yes_or_no:
        more["action"] = argparse.BooleanOptionalAction
    elif described.parse is None:
        more["action"] = "store_true"
    else:
        more |= {"type": described.parse, "choices": described.choices, "metavar": described.metavar}
        more |= {"action": "append"} if described.repeated else {"nargs": described.nargs, "const": described.const}
    group.add_argument(
        spelled(name), **{key: value for key, value in more.items() if value is not None or key == "default"}
    )


def parsed(group: type[T], namespace: argparse.Namespace) -> T:
    """The dataclass, with the values that argparse has read; lists as tuples."""
    values = {name: getattr(namespace, name) for name, _, _ in options(group)}
    return group(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def number(kind: type[int] | type[float], least: float, below: float = math.inf) -> Callable[[str], float]:
    """A type for argparse: a whole or a finite number from `least` on, and smaller than `below`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < below:
            end = f" and below {below:g}" if below < math.inf else ""
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is not a {noun} from {least:g} on{end}")
        return value

    return parse


COUNT, SHARE = number(int, 1), number(float, 0, 1)
