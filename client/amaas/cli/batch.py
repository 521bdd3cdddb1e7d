"""The verbs of batch jobs: predictions for many inputs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from amaas.cli.base import Context, DefaultGroup, OutputFile, note, reference, removed, verb
from amaas.cli.display.text import as_json, echo
from amaas.cli.ending import Interrupted, written
from amaas.errors import AmaasError

if TYPE_CHECKING:
    from amaas.client import Client

Json = dict[str, Any]
verbs = click.Group()
out_option = click.option(
    "--out", type=OutputFile(dir_okay=False, writable=True), help="The file for the outputs. Default: standard output."
)


@verbs.group(cls=DefaultGroup, older={"--resume": "resume"})
def batch() -> None:
    """Predict for many inputs, as a job.

    `amaas batch MODEL SOURCE` is short for `amaas batch run MODEL SOURCE`.
    """


@verb(batch, "run")
@click.argument("model", callback=reference, metavar="MODEL[@VERSION]")
@click.argument("source", type=click.Path(exists=True))
@out_option
@click.option("--chunk", type=click.IntRange(1, 10_000), help="Inputs per invocation.")
@click.option("--top-k", type=click.IntRange(1), help="How many labels to answer.")
@click.option("--delimiter", help="Of CSV files, between fields: comma, semicolon, tab or pipe.")
@click.option("--decimal", help="Of CSV files, before fractions: a point or a comma.")
@click.option("--no-wait", is_flag=True, help="Start the job, and do not wait for it.")
def run_batch_job(
    context: Context,
    model: tuple[str, str | None],
    source: str,
    out: str | None,
    chunk: int | None,
    no_wait: bool,
    **said: str | int | None,
) -> None:
    """Predict for SOURCE: a JSONL, CSV or Parquet file, or a folder with one input per file.

    The outputs are JSON lines, one per input, in the inputs' order. Exit status 1 if any input failed.
    """
    from amaas.cli.display.progress import upload_progress

    name, version = model
    options = {option: str(value) for option, value in said.items() if value is not None}
    created: list[str] = []

    def on_created(job: Json) -> None:
        """At once: whatever happens to this process, the job is not lost."""
        created.append(job["id"])
        if not context.as_json:
            note(f"job {job['id']} is created: `amaas batch follow {job['id']}` follows it")

    with context.client() as client:
        try:
            with upload_progress(source, quiet=context.as_json, then="starting") as on_progress:
                state = client.create_batch_job(
                    name, source, version, options=options, chunk=chunk, on_progress=on_progress, on_created=on_created
                )
        except KeyboardInterrupt:
            hint = (
                f": job {created[0]} waits for its inputs, `amaas batch rm {created[0]}` removes it" if created else ""
            )
            raise Interrupted(f"nothing was started{hint}") from None
        if no_wait:
            _report(context, state)
        else:
            _follow(context, client, state["id"], out)


@verb(batch, "follow")
@click.argument("job")
@out_option
def follow_batch_job(context: Context, job: str, out: str | None) -> None:
    """Wait for the end of a job, and write its outputs. Exit status 1 if any input failed."""
    with context.client() as client:
        _follow(context, client, job, out)


@verb(batch, "resume")
@click.argument("job")
@click.argument("model", required=False, metavar="", expose_value=False)  # as it was once given
@out_option
@click.option("--no-wait", is_flag=True, help="Start the job, and do not wait for it.")
def resume_batch_job(context: Context, job: str, out: str | None, no_wait: bool) -> None:
    """Follow a job that was started before; start what is left of it, if it has stopped."""
    with context.client() as client:
        state = client.get_batch_job(job)
        if state["state"] in ("cancelled", "incomplete", "failed", "waiting"):
            state = client.start_batch_job(job)
        if no_wait:
            _report(context, state)
        else:
            _follow(context, client, job, out)


@verb(batch, "ls")
@click.argument("model", required=False)
def list_batch_jobs(context: Context, model: str | None) -> None:
    """List the batch jobs, newest first: those of this token, or all for an administrator's. MODEL: only its jobs."""
    from amaas.cli.display import jobs as display

    with context.client() as client:
        rows = client.list_batch_jobs(model)
    context.answer(rows, lambda out: display.batch_jobs(out, rows))


batch.add_command(list_batch_jobs, "list")


@verb(batch, "show")
@click.argument("job")
def show_batch_job(context: Context, job: str) -> None:
    """Show how far a job is."""
    with context.client() as client:
        _report(context, client.get_batch_job(job))


@verb(batch, "cancel")
@click.argument("job")
def cancel_batch_job(context: Context, job: str) -> None:
    """Stop a job. Finished chunks are kept; `amaas batch resume JOB` does the rest."""
    with context.client() as client:
        _report(context, client.cancel_batch_job(job))


@verb(batch, "rm")
@click.argument("job")
def delete_batch_job_data(context: Context, job: str) -> None:
    """Delete a job that does not run, with its inputs and answers, at once."""
    with context.client() as client:
        receipt = client.delete_batch_job_data(job)
    context.report(receipt, job, removed(receipt))


@verb(batch, "failures")
@click.argument("job")
def list_failures(context: Context, job: str) -> None:
    """List the inputs that failed, with their errors."""
    from amaas.cli.display import jobs as display

    with context.client() as client:
        rows = client.list_batch_job_failures(job)
    context.answer(rows, lambda out: display.failures(out, rows))


@verb(batch, "outputs")
@click.argument("job")
@out_option
def write_outputs(context: Context, job: str, out: str | None) -> None:
    """Write the outputs of a job: JSON lines, one per input, in the inputs' order."""
    with context.client() as client:
        _write(client.read_batch_job_outputs(job), out, job)


def _follow(context: Context, client: Client, job: str, out: str | None) -> None:
    """Wait for a job, write its outputs, and say how it ended. Raises AmaasError if not well."""
    from amaas.cli.display.progress import batch_progress

    try:
        with batch_progress(job, quiet=context.as_json) as on_state:
            state = client.wait_for_batch_job(job, on_state)
    except KeyboardInterrupt:
        to = f" --out {shlex.quote(out)}" if out else ""
        hint = f"`amaas batch follow {job}{to}` follows it, `amaas batch cancel {job}` stops it"
        raise Interrupted(f"the job goes on: {hint}") from None
    if out is not None or not context.as_json:  # on standard output, nothing stands beside JSON
        _write(client.read_batch_job_outputs(job), out, job)
    _report(context, state)
    _raise_failure(state)


def _write(rows: Iterable[Json], out: str | None, job: str) -> None:
    if out is None:
        for row in rows:
            sys.stdout.write(as_json(row) + "\n")
        return
    with (
        written(out, f"`amaas batch outputs {job} --out FILE` writes all of it"),
        open(out, "w", encoding="utf-8") as file,
    ):
        for row in rows:
            file.write(as_json(row) + "\n")


def _report(context: Context, state: Json) -> None:
    """Outputs have standard output for themselves: a line on standard error, or the state as JSON."""
    if context.as_json:
        shown = {member: value for member, value in state.items() if member != "results"}
        context.report(shown, state["model"])
        return
    counts = f"{state['done']} of {state['inputs'] or '?'} inputs done, {state['failed']} failed"
    echo(f"{state['model']}: batch job {state['id']} is {state['state']}: {counts}", err=True)


def _raise_failure(state: Json) -> None:
    if state["state"] in ("incomplete", "failed"):
        raise AmaasError(f"{state.get('error')}; `amaas batch resume {state['id']}` does what is left")
    if state["state"] == "done" and state["failed"]:
        first: Json = next(iter(state.get("failures") or []), {})
        example = f"{first.get('input')}: {first.get('error')}"
        if state["failed"] == state["done"]:
            raise AmaasError(f"none of the inputs could be answered; {example}")
        raise AmaasError(
            f"{state['failed']} of {state['done']} inputs failed, the others are answered; {example}; "
            f"`amaas batch failures {state['id']}` lists them"
        )
