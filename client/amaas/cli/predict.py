"""The verbs that call a model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from amaas.cli.base import Context, OutputFile, reference, verb
from amaas.cli.ending import written
from amaas.errors import AmaasError

Reference = tuple[str, str | None]
verbs = click.Group()
model_argument = click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
key_option = click.option(
    "--key", help="Sticky key for a split alias: requests with the same one go to the same version."
)
MOST_SHOWN = 60  # characters of what is no file


class InputFile(click.Path):
    """A file that is there, or - for standard input; what is none is often a text that was meant itself."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != "-" and not os.path.exists(value):  # of a name that is too long, pathlib raises
            shown = value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}…"
            advice = "give a file, or send a text by --text, and other input by --data with its --type"
            self.fail(f"File {shown!r} does not exist: {advice}.", param, ctx)
        return super().convert(value, param, ctx)


def input_options(function: Callable[..., None]) -> Callable[..., None]:
    """INPUT, --data, --text and --type of a call: see `_given`."""
    for option in (
        click.option("--type", "content_type", help="Content type of the input. Default: by its bytes or name."),
        click.option("--text", help="The input itself, if it is a text."),
        click.option("--data", help="The input itself, instead of a file."),
        click.argument("input", required=False, type=InputFile()),
    ):
        function = option(function)
    return function


@verb(verbs)
@model_argument
@input_options
@click.option("--top-k", type=click.IntRange(1), help="How many labels to answer.")
@click.option("--labels", help="For zero-shot models: between which to choose, as in sports,politics.")
@key_option
def predict(
    context: Context,
    model: Reference,
    input: str | None,
    data: str | None,
    text: str | None,
    content_type: str | None,
    top_k: int | None,
    labels: str | None,
    key: str | None,
) -> None:
    """Predict for INPUT: a file, or - for standard input."""
    from amaas.cli.display import predictions as display

    content, content_type = _given(input, data, text, content_type)
    options = ({"top_k": str(top_k)} if top_k else {}) | ({"labels": labels} if labels else {})
    name, version = model
    with context.client() as client:
        answer = client.predict(name, content, version, content_type=content_type, options=options, key=key)
    context.answer(answer, lambda out: display.predictions(out, answer))


@verb(verbs)
@model_argument
@input_options
@click.option("--label", help="The class to explain. Default: the best one.")
@click.option("--method", type=click.Choice(["occlusion", "rise", "cam"]), help="For images.")
@click.option("--target", help="For a model that generates text: the answer to explain. Default: its own.")
@click.option(
    "--out", type=OutputFile(dir_okay=False, writable=True), help="For an image: write a PNG with the reasons in red."
)
def explain(
    context: Context,
    model: Reference,
    input: str | None,
    data: str | None,
    text: str | None,
    label: str | None,
    method: str | None,
    target: str | None,
    content_type: str | None,
    out: str | None,
) -> None:
    """Explain the prediction for INPUT: a file, or - for standard input.

    Shows how much each part of it adds to the score of a class; of a model that generates text, to the log-probability
    of an answer.
    """
    from amaas.cli.display import predictions as display

    content, content_type = _given(input, data, text, content_type)
    name, version = model
    asked = {"label": label, "method": method, "target": target}
    options = {key: value for key, value in asked.items() if value is not None}
    picture = out is not None
    with context.client() as client:
        answer = client.explain(name, content, version, content_type=content_type, options=options, picture=picture)
    if isinstance(answer, bytes):
        with written(str(out), "explain it again, to another place"):
            Path(str(out)).write_bytes(answer)
        context.report({"picture": out}, name, f"the reasons are in {out}")
    elif picture:
        raise AmaasError(f"{out} is not written: only explanations of images are pictures; without --out, it is shown")
    else:
        context.answer(answer, lambda console: display.explanation(console, answer))


@verb(verbs)
@model_argument
@click.argument("query")
@click.argument("documents", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), help="How many documents to answer. Default: all of them.")
@key_option
def rerank(
    context: Context, model: Reference, query: str, documents: tuple[str, ...], top: int | None, key: str | None
) -> None:
    """Rank DOCUMENTS by how well they answer QUERY.

    DOCUMENTS are texts, or - for those on the lines of standard input.
    """
    from amaas.cli.display import predictions as display

    texts = [line for line in sys.stdin.read().splitlines() if line.strip()] if documents == ("-",) else [*documents]
    name, version = model
    with context.client() as client:
        answer = client.rerank(name, query, texts, version, top_n=top, return_documents=True, key=key)
    context.answer(answer, lambda out: display.ranking(out, answer))


@verb(verbs)
@model_argument
@click.argument("body", type=click.File("rb"))
def infer(context: Context, model: Reference, body: Any) -> None:
    """Send a request of the Open Inference Protocol.

    BODY is a JSON file, or - for standard input.
    """
    name, version = model
    try:
        request = json.load(body)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not valid JSON: {error}", param_hint="BODY") from error
    with context.client() as client:
        response = client.infer(name, request, version)
    context.answer(response, lambda out: out.print_json(data=response))


def _given(
    input: str | None, data: str | None, text: str | None, content_type: str | None
) -> tuple[Path | bytes, str | None]:
    """The input and its content type, None: to be found out. Raises click.UsageError unless it is given once."""
    if [input, data, text].count(None) != 2:
        raise click.UsageError("give one of INPUT, --data and --text")
    if text is not None:
        return _encoded(text, "--text"), content_type or "text/plain"
    return _data(data, content_type) if data is not None else _content(str(input)), content_type


def _content(input: str) -> Path | bytes:
    if input != "-":
        return Path(input)
    if sys.stdin is None:
        raise click.UsageError("standard input is closed: give a file, or send the input into it")
    return sys.stdin.buffer.read()


def _encoded(text: str, option: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # bytes of the shell's that are in no encoding of its
        raise click.BadParameter("is not UTF-8: put it into a file, and give that", param_hint=option) from error


def _data(data: str, content_type: str | None) -> bytes:
    if content_type is None or content_type.endswith("json"):
        try:
            json.loads(data)
        except (ValueError, RecursionError) as error:
            hint = "; text or CSV needs --type, as text/plain"
            raise click.BadParameter(f"is not valid JSON: {error}{hint}", param_hint="--data") from error
    return _encoded(data, "--data")
