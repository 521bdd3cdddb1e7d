"""What a training request may say, and how its arguments become a command line.

The options of training.train are not repeated here: a name and values pass through, and what is wrong with them the job
says itself. Kept back is only what belongs to the container: where data, output and checkpoints are. The training takes
an option by its whole name only, so that names can be compared.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from shared import keys
from shared.errors import BadInput

OWN = ("data", "out", "root", "name", "checkpoint", "resume", "no-resume", "quiet", "help")
OPTION = "^[a-z0-9][a-z0-9-]{0,63}$"
DATA = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99}|s3://[^/]+/.+)$"
Option = Annotated[str, Meta(pattern=OPTION)]
Text = Annotated[str, Meta(max_length=500)]
Value = bool | int | float | Text | Annotated[list[int | float | Text], Meta(min_length=1, max_length=64)]


class TrainingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /training-jobs. model: what the result is pushed as.

    data: a name that the container knows, as fashion-mnist, or s3://BUCKET/datasets/… in the deployment's own bucket.
    arguments: options of training.train without their dashes, each with a value, a list of values, or true. A teacher
    is a package folder in s3://BUCKET/datasets/….
    """

    model: Annotated[str, Meta(min_length=1, max_length=100)]
    data: Annotated[str, Meta(pattern=DATA, max_length=1000)]
    arguments: Annotated[dict[Option, Value], Meta(max_length=100)] = field(default_factory=dict)


def check(request: TrainingRequest, bucket: str) -> None:
    """Raises BadInput for what the container would refuse, or must not be asked."""
    keys.model_name(request.model)
    located(request.data, bucket)
    teacher(request.arguments, bucket)
    for name in request.arguments:
        if name in OWN:
            raise BadInput(f"the argument {name!r} is the job's own to set: omit it")
    command_line(request.arguments)


def located(data: str, bucket: str) -> str | None:
    """The key of data in s3://; None for a name. Raises BadInput for another bucket, or another part of it."""
    if not data.startswith("s3://"):
        return None
    named, _, key = data.removeprefix("s3://").partition("/")
    if named != bucket:
        raise BadInput(
            f"{data[:120]!r} is in another bucket: the job reads s3://{bucket}/datasets/ only; "
            f"aws s3 cp --recursive FOLDER s3://{bucket}/datasets/NAME/ puts data there"
        )
    return keys.dataset(key)


def teacher(arguments: dict[str, Any], bucket: str) -> str | None:
    """Where the package lies that teaches, s3://…; None where none does. Raises BadInput for one beyond a job's reach.

    A job reads no model of the registry, nor has it a token to ask one with.
    """
    named = arguments.get("teacher", False)
    if named is False:
        return None
    if not isinstance(named, str) or not named.startswith("s3://"):
        raise BadInput(
            f"the teacher {str(named)[:120]!r} is out of a job's reach: aws s3 cp --recursive PACKAGE "
            f"s3://{bucket}/datasets/NAME/ puts its package folder there, then give that as teacher; "
            "a registered model teaches where `amaas train --local` trains"
        )
    located(named, bucket)
    return named


def command_line(arguments: dict[str, Any]) -> list[str]:
    """{"epochs": 20, "size": [64, 64], "no-flip": true} as options. False leaves an option away. Raises BadInput."""
    line: list[str] = []
    for name, value in arguments.items():
        if value is True:
            line.append(f"--{name}")
        elif isinstance(value, list):
            line += [f"--{name}", *(_one(name, item) for item in value)]
        elif value is not False:
            line.append(f"--{name}={_text(value)}")  # in one word, a value may start with a dash
    return line


def _one(name: str, value: Any) -> str:
    text = _text(value)
    if text.startswith("-") and not re.fullmatch(r"-[0-9.]+(e[-+]?[0-9]+)?", text):
        raise BadInput(f"{text[:80]!r} in the argument {name!r} would be read as an option of its own")
    return text


def _text(value: Any) -> str:
    text = str(value)
    if not text.isprintable():
        raise BadInput(f"{text[:80]!r} has characters that no command line takes")
    return text
