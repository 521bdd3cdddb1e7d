"""The body of a training request, its validation, and the command line that its arguments become.

Names and values that arguments.py permits are passed on, and the job itself reports what is wrong with them. Training
accepts no abbreviated options, so comparing names is enough.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from shared import keys
from shared.errors import BadInput
from shared.jobs.training.arguments import require_permitted
from shared.plain_text import is_plain_text

OPTION = "^[a-z0-9][a-z0-9-]{0,63}$"
DATA = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99}|s3://[^/]+/.+)$"
Option = Annotated[str, Meta(pattern=OPTION)]
Text = Annotated[str, Meta(max_length=500)]
Value = bool | int | float | Text | Annotated[list[int | float | Text], Meta(min_length=1, max_length=64)]


class TrainingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /training-jobs. model: what the result is pushed as.

    data: the name of a data set in the container, as fashion-mnist, or s3://BUCKET/datasets/… in the deployment's own
    bucket. arguments: options of training.train without their dashes, each with a value, a list of values, or true. A
    teacher is a package folder in s3://BUCKET/datasets/….
    """

    model: Annotated[str, Meta(min_length=1, max_length=100)]
    data: Annotated[str, Meta(pattern=DATA, max_length=1000)]
    arguments: Annotated[dict[Option, Value], Meta(max_length=100)] = field(default_factory=dict)


def require_valid(request: TrainingRequest, bucket: str) -> None:
    """Raises BadInput for what the container would refuse, and for options that it must not be given."""
    keys.model_name(request.model)
    data_key(request.data, bucket)
    teacher_url(request.arguments, bucket)
    require_permitted(request.arguments)
    command_line(request.arguments)


def dataset_names(data: str, arguments: dict[str, Any], bucket: str) -> list[str]:
    """The names of the data sets in the bucket that a job reads: of its data, and of a teacher. Raises BadInput."""
    locations = [data_key(data, bucket)]
    teacher = teacher_url(arguments, bucket)
    if teacher is not None:
        locations.append(data_key(teacher, bucket))
    return sorted({location.split("/")[1] for location in locations if location is not None})


def data_key(data: str, bucket: str) -> str | None:
    """The object key of data in s3://; None for a name. Raises BadInput outside of datasets/ in this bucket."""
    if not data.startswith("s3://"):
        return None
    data_bucket, _, key = data.removeprefix("s3://").partition("/")
    if data_bucket != bucket:
        raise BadInput(
            f"{data[:120]!r} is in another bucket: the job reads s3://{bucket}/datasets/ only; "
            f"aws s3 cp --recursive FOLDER s3://{bucket}/datasets/NAME/ puts data there"
        )
    return keys.dataset(key)


def teacher_url(arguments: dict[str, Any], bucket: str) -> str | None:
    """The s3:// URL of the teacher's package folder; None without a teacher. Raises BadInput for any other teacher.

    A job may not read models of the registry, and has no token to call one with.
    """
    url = arguments.get("teacher", False)
    if url is False:
        return None
    if not isinstance(url, str) or not url.startswith("s3://"):
        raise BadInput(
            f"a training job cannot read the teacher {str(url)[:120]!r}: aws s3 cp --recursive PACKAGE "
            f"s3://{bucket}/datasets/NAME/ copies its package folder to where it can, then use that URL as teacher; "
            "with `amaas train --local`, a registered model may be the teacher"
        )
    data_key(url, bucket)
    return url


def command_line(arguments: dict[str, Any]) -> list[str]:
    """{"epochs": 20, "size": [64, 64], "no-flip": true} as options. False omits an option. Raises BadInput."""
    line: list[str] = []
    for name, value in arguments.items():
        if value is True:
            line.append(f"--{name}")
        elif isinstance(value, list):
            line += [f"--{name}", *(_list_item(name, item) for item in value)]
        elif value is not False:
            line.append(f"--{name}={_text(value)}")  # with "=", a value may start with a dash
    return line


def _list_item(name: str, value: Any) -> str:
    text = _text(value)
    # in a list each value is an argument of its own: only a negative number may start with a dash
    if text.startswith("-") and not re.fullmatch(r"-[0-9.]+(e[-+]?[0-9]+)?", text):
        raise BadInput(f"{text[:80]!r} in the argument {name!r} would be read as an option of its own")
    return text


def _text(value: Any) -> str:
    text = str(value)
    if not is_plain_text(text):
        raise BadInput(f"{text[:80]!r} has characters that a command line cannot hold: use printable ones")
    return text
