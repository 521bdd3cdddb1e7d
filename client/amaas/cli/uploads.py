"""The verbs of uploads: push a package, and see what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from amaas.cli.base import Context, note, older_name, removed, verb
from amaas.cli.display.text import as_json, echo
from amaas.cli.source import source_options

verbs = click.Group()
timeout_option = click.option(
    "--timeout", type=click.FloatRange(0), default=300, show_default=True, help="Seconds to wait for the result."
)


@verb(verbs)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--model", help="The model's name. Default: the one in amaas.json, else that of the file or folder.")
@source_options
@click.option("--print", "print_only", is_flag=True, help="Print the amaas.json that would be sent, and send nothing.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the result of the checks.")
@timeout_option
def push(
    context: Context, path: Path, model: str | None, print_only: bool, no_wait: bool, timeout: float, **source: Any
) -> None:
    """Upload a package, and wait until it is a version.

    PATH is a package folder, an .onnx file, a folder in Hugging Face's form with ONNX, as Optimum, onnx-community and
    ONNX Runtime GenAI leave it, or a model of scikit-learn, LightGBM or XGBoost, which is converted on this machine:
    task, labels and settings are derived; see docs/bring-a-model.md.
    """
    from amaas.cli.display.progress import upload_progress

    if print_only:
        _print(path, model, source)
        return
    with context.client() as client, upload_progress(model or str(path), quiet=context.as_json) as on_progress:
        state = client.push(
            path, model, on_progress=on_progress, on_note=note, wait=not no_wait, timeout=timeout, **source
        )
        _report(context, state, _in_use(client, state))


def _print(path: Path, model: str | None, source: dict[str, Any]) -> None:
    """Of a package that says no task, what it is without one."""
    from amaas.api import package

    with package.opened(path, note=note, **source) as files:
        described = package.manifest(files)
        if "task" not in described:
            described = {"name": model or package.model_name(path, files), "task": "tensor"} | described
            note(f"without a task it takes and answers tensors; `amaas init {path}` describes what they mean")
        echo(as_json(described, indent=2))


@verbs.group()
def upload() -> None:
    """See what became of uploads."""


@verb(upload, "ls")
@click.argument("model", required=False)
def list_uploads(context: Context, model: str | None) -> None:
    """List the uploads of a model, newest first, with the reasons of those that are no version.

    Without MODEL: those of the last days, of all models; also what lies in no model's folder of the inbox.
    """
    from amaas.cli.display import models as display

    with context.client() as client:
        rows = client.list_uploads(model) if model else client.list_recent_uploads()
    context.answer(rows, lambda out: display.uploads(out, rows, of_all=model is None))


older_name(verbs, list_uploads, "uploads")


@verb(upload, "show")
@click.argument("upload")
def show_upload(context: Context, upload: str) -> None:
    """Show the state of an upload."""
    with context.client() as client:
        _report(context, client.get_upload(upload))


@verb(upload, "wait")
@click.argument("upload")
@timeout_option
def wait_for_upload(context: Context, upload: str, timeout: float) -> None:
    """Wait until an upload is a version. Exit status 3 if it is rejected, 1 if it failed or expired."""
    with context.client() as client:
        _report(context, client.wait_for_upload(upload, timeout))


@verb(upload, "rm")
@click.argument("upload")
def delete_upload(context: Context, upload: str) -> None:
    """Delete the files of an upload at once. A version that came of it stays."""
    with context.client() as client:
        state = client.delete_upload(upload)
    context.report(state, upload, removed(state["deletion"]))


@verb(verbs)
@click.argument("uploads", nargs=-1)
def redrive(context: Context, uploads: tuple[str, ...]) -> None:
    """Have uploads checked again that failed: UPLOADS, or those of the queue of failed events.

    For an admin, after the cause is mended. They are checked within 15 minutes, with all their attempts.
    """
    from amaas.cli.display import models as display

    with context.client() as client:
        rows = client.redrive_uploads(uploads)
    context.answer(rows, lambda out: display.redriven(out, rows))


def _in_use(client: Any, state: dict[str, Any]) -> str:
    """What a version that was pushed is used for, and what to do next; nothing for a token that may not see it."""
    from amaas.errors import AmaasError

    if "version" not in state:
        return ""
    model, version = state["model"], state["version"]
    try:
        target = client.get_model(model)["aliases"].get("production")
    except AmaasError:
        return ""
    if target and target.get("version") == version:
        return f", and is production: `amaas predict {model} …`"
    return f"; `amaas predict {model}@{version} …` tries it, `amaas promote {model} {version}` makes it production"


def _report(context: Context, state: dict[str, Any], use: str = "") -> None:
    if "version" in state:
        context.report(state, state["model"], f"version {state['version']} is registered{use}")
    else:
        reason = f": {state['reason']}" if state.get("reason") else ""
        context.report(state, state["model"] or "inbox", f"{state['upload_id']} is {state['state']}{reason}")
