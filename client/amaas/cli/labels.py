"""The verbs of labels: give them to answers, and delete them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from amaas.cli.base import Context, removed, verb

verbs = click.Group()


@verbs.group()
def label() -> None:
    """Say what answers should have been, which shows how often a version is right."""


@verb(label)
@click.argument("model")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--answer", "answer_id", help="The answer_id of one answer, as `amaas predict --json` shows it.")
@click.option("--label", "text", help="What that answer should have been.")
@click.option("--item", type=click.IntRange(0), default=0, help="Of an answer with several results, which one.")
def give(context: Context, model: str, file: Path | None, answer_id: str | None, text: str | None, item: int) -> None:
    """Give labels to answers of a model.

    FILE is JSON lines, or CSV with a header, with answer_id, label and, for answers with several results, item. Of each
    item, the last label counts.
    """
    from amaas.api.feedback import read_labels
    from amaas.cli.display import drift as display

    if (file is None) == (answer_id is None) or (answer_id is None) != (text is None):
        raise click.UsageError("give a FILE, or --answer and --label")
    labels = read_labels(file) if file else [{"answer_id": answer_id, "label": text, "item": item}]
    with context.client() as client:
        answer = client.give_labels(model, labels)
    context.answer(answer, partial(display.show_labels, answer))
    if answer["refused"]:
        raise SystemExit(1)


@verb(label, "rm")
@click.argument("model")
def delete(context: Context, model: str) -> None:
    """Delete all labels that were given to a model's answers, with all their versions."""
    with context.client() as client:
        receipt = client.delete_labels(model)
    context.report(receipt, model, removed(receipt))
