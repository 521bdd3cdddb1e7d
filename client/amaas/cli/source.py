"""What the verbs that take a model as it is, push and check, ask of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OPTIONS = (
    click.option("--graph", help="Of a folder with several ONNX files: which, such as onnx/model_q4.onnx."),
    click.option("--examples", type=FILE, help="Of a conversion: a CSV file with rows, to prove it with."),
    click.option("--trust-pickle", is_flag=True, help="Read a pickle on this machine, which runs the code in it."),
)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        command = option(command)
    return command
