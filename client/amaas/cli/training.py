"""The verbs of training: as a job of the deployment, or on this machine; both are followed by the same curve."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from amaas.cli import arguments
from amaas.cli.base import Context, DefaultGroup, ForwardingCommand, LocalFolder, note, removed, verb
from amaas.cli.ending import Interrupted
from amaas.cli.rollout import Rollout, finish, rollout_options
from amaas.errors import AmaasError, ApiError, NotConnected

if TYPE_CHECKING:
    from amaas.client import Client

Json = dict[str, Any]
verbs = click.Group()
JOB_DATA = r"[\w.-]+|s3://.*"  # what a job can read: a data set by name, or a bucket
reports_option = click.option(
    "--reports", type=LocalFolder(file_okay=False, path_type=Path),
    help="Of a job: download cleaning.json and the plots into this folder.",
)  # fmt: skip


@verbs.group(cls=DefaultGroup, older={"--follow": "follow", "--cancel": "cancel", "--list": "ls"})
def train() -> None:
    """Train a model and push it.

    `amaas train --data DATA --model MODEL` is short for `amaas train run --data DATA --model MODEL`.
    """


class Run(NamedTuple):
    """What `amaas train run` takes. forwarded: the arguments after `--`."""

    data: str
    model: str
    forwarded: tuple[str, ...]
    local: bool
    python: str | None
    docker: str | None
    out: Path | None
    no_wait: bool
    reports: Path | None

    def check(self) -> None:
        """Raises click.UsageError for options that do not go together."""
        if not self.local and not re.fullmatch(JOB_DATA, self.data):
            raise click.UsageError(
                f"{self.data} is on this machine: --local trains here; a job reads s3://BUCKET/datasets/… or a data "
                "set by name"
            )
        if not self.local and (self.python or self.docker or self.out):
            raise click.UsageError("--python, --docker and --out need --local")
        if self.reports and (self.local or self.no_wait):
            raise click.UsageError(
                "--reports needs a job, and to wait for it: with --local, reports are in the output folder"
            )


@verb(train, "run", kind=ForwardingCommand)
@click.argument("forwarded", nargs=-1, metavar="[-- OPTIONS]")
@click.option("--data", required=True, help="A data set's name, or s3://BUCKET/datasets/…; with --local, also a path.")
@click.option("--model", required=True, help="The name under which the result is pushed.")
@click.option("--no-wait", is_flag=True, help="Start the job, and do not wait for it.")
@click.option("--local", is_flag=True, help="Train on this machine, then push the result.")
@click.option("--python", help="With --local: the Python. Default: AMAAS_TRAINING_PYTHON, else the checkout's.")
@click.option("--docker", metavar="IMAGE", help="With --local: train in a container.")
@click.option("--out", type=LocalFolder(file_okay=False, path_type=Path),
              help="With --local: the output folder.")  # fmt: skip
@reports_option
@rollout_options
def run_training(context: Context, alias: str | None, canary: int | None, **options: Any) -> None:
    """Train a model and push it. Arguments after -- go to the training: -- --epochs 20 --size 64 64."""
    run, rollout = Run(**options), Rollout.of(alias, canary)
    run.check()
    with context.client() as client:
        if run.local:
            finish(context, client, _push(client, _train_here(context, run), run.model), rollout)
            return
        state = client.create_training_job(run.model, run.data, arguments.parse(run.forwarded))
        if run.no_wait:
            _report(context, state)
            return
        job = state["id"]  # at once: whatever happens to this process, the job is not lost
        note(f"job {job} is started: `amaas train follow {job}` follows it")
        _follow(context, client, state, run.reports, rollout)


@verb(train, "follow")
@click.argument("job")
@click.option("--no-wait", is_flag=True, hidden=True, help="As `amaas train show`.")  # as it was once given
@reports_option
@rollout_options
def follow_training_job(
    context: Context, job: str, no_wait: bool, reports: Path | None, alias: str | None, canary: int | None
) -> None:
    """Follow a job until it ends, and point an alias to its version."""
    with context.client() as client:
        state = client.get_training_job(job)
        if no_wait:
            _report(context, state)
        else:
            _follow(context, client, state, reports, Rollout.of(alias, canary))


@verb(train, "ls")
def list_training_jobs(context: Context) -> None:
    """List the training jobs, newest first."""
    from amaas.cli.display import jobs as display

    with context.client() as client:
        rows = client.list_training_jobs()
    context.answer(rows, lambda out: display.training_jobs(out, rows))


@verb(train, "show")
@click.argument("job")
def show_training_job(context: Context, job: str) -> None:
    """Show the state of a job."""
    with context.client() as client:
        _report(context, client.get_training_job(job))


@verb(train, "cancel")
@click.argument("job")
def cancel_training_job(context: Context, job: str) -> None:
    """Stop a job. Its last checkpoint is kept."""
    with context.client() as client:
        _report(context, client.cancel_training_job(job))


@verb(train, "rm")
@click.argument("job")
def delete_training_job_data(context: Context, job: str) -> None:
    """Delete the checkpoints, metrics and reports of a job that has ended, at once."""
    with context.client() as client:
        receipt = client.delete_training_job_data(job)
    context.report(receipt, job, removed(receipt))


@verb(train, "reports")
@click.argument("job")
@click.argument("folder", type=LocalFolder(file_okay=False, path_type=Path))
def download_reports(context: Context, job: str, folder: Path) -> None:
    """Download the reports of a job that has ended: cleaning.json and the plots."""
    with context.client() as client:
        files = client.download_training_reports(job, folder)
    context.report([str(file) for file in files], job, f"{', '.join(file.name for file in files)}: in {folder}")


def _follow(context: Context, client: Client, state: Json, reports: Path | None, rollout: Rollout) -> None:
    from amaas.cli.display.curve import training_progress

    job, name = state["id"], f"{state['model']}, job {state['id']}"
    try:
        with training_progress(name, arguments.epochs(state["arguments"]), quiet=context.as_json) as on_state:
            state = client.wait_for_training_job(job, on_state)
    except KeyboardInterrupt:
        hint = f"the job goes on: `amaas train follow {job}` follows it, `amaas train cancel {job}` stops it"
        raise Interrupted(hint) from None
    if reports:
        note(_download(client, job, reports))
    if state["state"] == "succeeded":
        finish(context, client, state, rollout)
        return
    if context.as_json:
        _report(context, state)
    hint = f"; `amaas train reports {job} FOLDER` downloads its reports"
    reason = state.get("reason") or "by request"
    raise AmaasError(
        f"training job {job} is {state['state']}: {reason}{hint if state.get('reports') and not reports else ''}"
    )


def _download(client: Client, job: str, folder: Path) -> str:
    """Which reports were downloaded, or why none: that must hide neither the job's reason nor its version."""
    try:
        return f"{', '.join(path.name for path in client.download_training_reports(job, folder))}: in {folder}"
    except AmaasError as error:
        return str(error)


def _train_here(context: Context, run: Run) -> Path:
    """Train on this machine; returns the folder with the package."""
    from amaas.cli.display.curve import training_progress
    from amaas.local import training
    from amaas.local.docker import in_docker

    epochs = arguments.epochs(arguments.parse(run.forwarded))
    folder = run.out or training.package_folder(run.model)
    if run.docker:
        command = in_docker(run.docker, run.data, folder, run.forwarded)
    else:
        command = training.on_python(run.python)
    with training_progress(f"{run.model}, into {folder}", epochs, quiet=context.as_json) as on_state:
        training.run(command, run.model, run.data, folder, run.forwarded, on_state)
    for line in training.summary(folder):
        note(line)
    return folder


def _push(client: Client, folder: Path, model: str) -> Json:
    try:
        return client.push(folder, model)
    except (ApiError, NotConnected) as error:
        # hours of work must not seem lost
        hint = f"the package is in {folder}: `amaas push {folder} --model {model}` sends it"
        raise AmaasError(f"{error}; {hint}") from error


def _report(context: Context, state: Json) -> None:
    context.report(state, state["model"], f"training job {state['id']} is {state['state']}", state.get("reason") or "")
