"""The verb for many inputs at once."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import Any

import click

from amaas.cli.aliases import said
from amaas.cli.models import Context, main, reference, verb
from amaas.errors import AmaasError


@verb(main)
@click.argument("model", callback=reference)
@click.argument("source", required=False, type=click.Path(exists=True))
@click.option(
    "--out", type=click.Path(dir_okay=False, writable=True), help="Where the answers go. Else standard output."
)
@click.option("--resume", metavar="JOB", help="Follow a job that was started before; do what is left of it.")
@click.option("--chunk", type=click.IntRange(1, 10_000), help="Inputs that one worker call does.")
@click.option("--top-k", type=click.IntRange(1), help="How many labels to answer.")
@click.option("--no-wait", is_flag=True, help="Start the job and go.")
def batch(
    context: Context,
    model: tuple[str, str | None],
    source: str | None,
    out: str | None,
    resume: str | None,
    chunk: int | None,
    top_k: int | None,
    no_wait: bool,
) -> None:
    """Ask a model about many inputs: SOURCE is a JSONL, CSV or Parquet file, or a folder with one input per file.

    The answers are JSON lines, one per input, in the inputs' order.
    """
    from amaas.cli.progress import following, sending

    if (source is None) == (resume is None):
        raise click.UsageError("give either SOURCE or --resume JOB")
    name, version = model
    with context.client() as client:
        if resume is None:
            options = {"top_k": str(top_k)} if top_k else {}
            with sending(str(source), quiet=context.as_json, then="starting") as report:
                state = client.batch(name, str(source), version, options=options, chunk=chunk, on_progress=report)
        else:
            state = client.batch_state(resume)
            if state["state"] in ("cancelled", "incomplete", "failed", "waiting"):
                state = client.batch_start(resume)
        if not no_wait:
            with following(state["id"], quiet=context.as_json) as report:
                state = client.batch_wait(state["id"], report)
            _answers(context, client, state["id"], out)
    counts = f"{state['done']} of {state['inputs'] or '?'} inputs done, {state['failed']} failed"
    told = f"batch job {state['id']} is {state['state']}: {counts}"
    if context.as_json:
        said(context, {key: value for key, value in state.items() if key != "results"}, told)
    else:
        click.echo(f"{name}: {told}", err=True)
    if state["state"] in ("incomplete", "failed"):
        raise AmaasError(f"{state.get('error')}; amaas batch {name} --resume {state['id']} does what is left")
    if state["state"] == "done" and 0 < state["done"] == state["failed"]:
        first = next(iter(state.get("failures") or []), {})
        raise AmaasError(f"none of the inputs could be answered; {first.get('input')}: {first.get('error')}")


def _answers(context: Context, client: Any, job: str, out: str | None) -> None:
    """Write the answers to a file, or to standard output where nothing else goes there."""
    if out is None and context.as_json:
        return
    with open(out, "w", encoding="utf-8") if out else nullcontext(sys.stdout) as file:
        for line in client.batch_answers(job):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
