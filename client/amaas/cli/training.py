"""The verb that trains: in the deployment's container, or on this machine; followed by the same curve."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amaas.cli.aliases import target
from amaas.cli.models import Context, Folder, HandingOn, complain, main, verb
from amaas.errors import AmaasError, ApiError, NotConnected

if TYPE_CHECKING:
    from amaas.client import Client

IN_REACH = r"[\w.-]+|s3://.*"  # of a job: the name of a data set, or what is in a bucket


@verb(main, kind=HandingOn)
@click.argument("options", nargs=-1, metavar="[-- OPTIONS]")
@click.option("--data", help="A data set's name, or s3://BUCKET/datasets/…; with --local, a file or folder too.")
@click.option("--model", help="What the result is pushed as.")
@click.option("--follow", metavar="JOB", help="Follow a job that was started before.")
@click.option("--cancel", metavar="JOB", help="Stop a job.")
@click.option("--list", "every", is_flag=True, help="List the jobs, newest first.")
@click.option("--no-wait", is_flag=True, help="Start the job and go.")
@click.option("--local", is_flag=True, help="Train on this machine, then push the result.")
@click.option("--python", help="With --local: which Python. Else AMAAS_TRAINING_PYTHON, or the checkout's.")
@click.option("--docker", metavar="IMAGE", help="With --local: train in a container.")
@click.option("--out", type=Folder(file_okay=False, path_type=Path),
              help="With --local: the output folder.")  # fmt: skip
@click.option("--reports", type=Folder(file_okay=False, path_type=Path),
              help="Of a job: put cleaning.json and pictures there.")  # fmt: skip
@click.option("--to", "alias", help="Point this alias at the new version.")
@click.option("--canary", type=click.IntRange(1, 99), help="Give it only this share of the alias' calls, in percent.")
def train(
    context: Context,
    options: tuple[str, ...],
    data: str | None,
    model: str | None,
    follow: str | None,
    cancel: str | None,
    every: bool,
    no_wait: bool,
    local: bool,
    python: str | None,
    docker: str | None,
    out: Path | None,
    reports: Path | None,
    alias: str | None,
    canary: int | None,
) -> None:
    """Train a model and push it. What stands behind -- goes to the training: -- --epochs 20 --size 64 64."""
    if sum((data is not None, follow is not None, cancel is not None, every)) != 1:
        raise click.UsageError("give --data with --model, or one of --follow JOB, --cancel JOB and --list")
    if (data is None) != (model is None):
        raise click.UsageError("give both --data and --model")
    if local and data is None:
        raise click.UsageError("--local needs --data and --model")
    if not local and data is not None and not re.fullmatch(IN_REACH, data):
        raise click.UsageError(
            f"{data} is on this machine: --local trains here, a job reads s3://BUCKET/datasets/… or a data set by name"
        )
    if not local and (python or docker or out):
        raise click.UsageError("--python, --docker and --out need --local")
    if reports and (local or every or no_wait or cancel is not None):
        raise click.UsageError("--reports is for a job that is waited for: with --local they are in the output folder")
    alias = alias or ("production" if canary else None)
    with context.client() as client:
        if every:
            _list(context, client)
        elif cancel is not None:
            _said(context, client.training_cancel(cancel))
        elif local:
            assert data is not None and model is not None
            trained = _here(context, data, model, options, python, docker, out)
            _finished(context, client, _pushed(client, trained, model), alias, canary)
        else:
            _there(context, client, data, model, options, follow, no_wait, reports, alias, canary)


def _there(
    context: Context,
    client: Client,
    data: str | None,
    model: str | None,
    options: tuple[str, ...],
    follow: str | None,
    no_wait: bool,
    reports: Path | None,
    alias: str | None,
    canary: int | None,
) -> None:
    from amaas.api.training import arguments
    from amaas.cli.curve import watching

    if follow is not None:
        state = client.training(follow)
    else:
        state = client.train(str(model), str(data), arguments(options))
    if no_wait:
        _said(context, state)
        return
    job = state["id"]
    if follow is None:  # at once: whatever happens to this process, the job is not lost
        complain(f"job {job} is started: `amaas train --follow {job}` follows it")
    try:
        with watching(f"{state['model']}, job {job}", _epochs(state["arguments"]), quiet=context.as_json) as report:
            state = client.training_wait(job, report)
    except KeyboardInterrupt:
        complain(f"the job goes on: `amaas train --follow {job}` follows it, `amaas train --cancel {job}` stops it")
        _said(context, client.training(job))
        return
    if reports:
        complain(_fetched(client, job, reports))
    if state["state"] != "succeeded":
        if context.as_json:
            _said(context, state)
        hint = f"; `amaas train --follow {job} --reports FOLDER` fetches its reports" if state.get("reports") else ""
        reason = state.get("reason") or "by request"
        raise AmaasError(f"training job {job} is {state['state']}: {reason}{'' if reports else hint}")
    _finished(context, client, state, alias, canary)


def _fetched(client: Client, job: str, folder: Path) -> str:
    """What to say of a job's reports. That they are not to be had hides neither its reason nor its version."""
    try:
        return f"{', '.join(path.name for path in client.training_reports(job, folder))}: in {folder}"
    except AmaasError as error:
        return str(error)


def _here(
    context: Context,
    data: str,
    model: str,
    options: tuple[str, ...],
    python: str | None,
    docker: str | None,
    out: Path | None,
) -> Path:
    """The folder with the package that came out of it."""
    from amaas.api.training import arguments
    from amaas.cli.curve import watching
    from amaas.local import training
    from amaas.local.docker import in_docker

    epochs = _epochs(arguments(options))
    place = out or training.trained(model)
    chosen = in_docker(docker, data, place, options) if docker else training.on_python(python)
    with watching(f"{model}, into {place}", epochs, quiet=context.as_json) as report:
        training.run(chosen, model, data, place, options, report)
    for line in training.told(place):
        complain(line)
    return place


def _pushed(client: Client, trained: Path, model: str) -> dict[str, Any]:
    try:
        return client.push(trained, model)
    except (ApiError, NotConnected) as error:
        # hours of work must not seem lost
        hint = f"the package is in {trained}: `amaas push {trained} --model {model}` sends it"
        raise AmaasError(f"{error}; {hint}") from error


def _epochs(given: dict[str, Any]) -> int | None:
    text = str(given.get("epochs", ""))
    return int(text) if text.isdigit() else None


def _finished(context: Context, client: Client, state: dict[str, Any], alias: str | None, canary: int | None) -> None:
    """Say which version it is, and give it its place behind an alias."""
    from amaas.cli import tables

    model, version = state["model"], state["version"]
    told = f"version {version} is registered"
    if alias is not None:
        try:
            moved = place(client, model, version, alias, canary)
        except ApiError as error:
            raise AmaasError(f"{model} {told}, but {alias} was not moved: {error}") from error
        state = state | {"alias": moved}
        told += f", {alias} is now {target(moved)}"
    context.answer(state, lambda out: tables.line(out, model, told))


def place(client: Client, model: str, version: int, alias: str, canary: int | None) -> dict[str, Any]:
    """Point an alias at a version, or give it a share of the calls, in percent, beside the version that has it now."""
    present = (client.model(model).get("aliases") or {}).get(alias)
    if present and present.get("version") == version and not present.get("split"):
        return {"alias": alias, **present}  # the first version of a model is in production at once
    reason = "trained by amaas train"
    if canary is None or not present:
        return client.promote(model, version, alias, reason=reason)
    if present.get("split"):
        raise AmaasError(
            f"{model} version {version} is registered, but {alias} is split already: "
            f"amaas split {model} VERSION=WEIGHT… says how it is to be shared"
        )
    return client.split(model, {present["version"]: 100 - canary, version: canary}, alias, reason=reason)


def _said(context: Context, state: dict[str, Any]) -> None:
    from amaas.cli import tables

    said = f"training job {state['id']} is {state['state']}"
    context.answer(state, lambda out: tables.line(out, state["model"], said, state.get("reason") or ""))


def _list(context: Context, client: Client) -> None:
    from amaas.cli import tables

    rows = client.trainings()
    context.answer(rows, lambda out: tables.trainings(out, rows))
