"""The verb `optimize`, and how its outcome looks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amaas.cli.models import Context, Folder, HandingOn, complain, main, reference, verb
from amaas.errors import AmaasError

if TYPE_CHECKING:
    from rich.console import Console


@verb(main, kind=HandingOn)
@click.argument("model", callback=reference)
@click.option(
    "--package", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder that this version was pushed from. Else where `amaas train --local` left it.",
)  # fmt: skip
@click.option(
    "--data",
    help="What it was trained on, as for training.train; without it, outputs are compared, and none is promoted.",
)
@click.option("--max-drop", type=click.FloatRange(0), default=0.5, show_default=True, help="Percentage points.")
@click.option("--target", type=click.Choice(["latency", "size"]), default="latency", show_default=True)
@click.option("--alias", default="production", show_default=True, help="What --promote moves.")
@click.option("--promote", is_flag=True, help="Move the alias, if a version is better where it is served.")
@click.option(
    "--out", type=Folder(path_type=Path),
    help="Keep all packages here; must not be there yet. Else only .local/optimised/MODEL/pareto.* is kept.",
)  # fmt: skip
@click.option("--python", help="Of the training environment. Else AMAAS_TRAINING_PYTHON, else the checkout's.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
def optimize(
    context: Context,
    model: tuple[str, str | None],
    package: Path | None,
    out: Path | None,
    data: str | None,
    max_drop: float,
    target: str,
    python: str | None,
    more: tuple[str, ...],
    alias: str,
    promote: bool,
) -> None:
    """Search for a smaller or faster form of MODEL[@VERSION], register what is worth it, and measure it in service.

    None is promoted unless --promote. MORE, after --, goes to the search: -- --student cnn --steps int8 prune+int8
    """
    kept = out or Path(".local") / "optimised" / model[0]
    with tempfile.TemporaryDirectory(prefix="amaas-") as folder:
        brief, named = [] if out else ["--brief"], ["--data", data] if data else []
        given = [*brief, "--target", target, "--max-drop", str(max_drop), *named, *more]
        wanted, package = (model[0], model[1] or alias), package or _trained(model[0])
        made = out or Path(folder) / "search"
        done = _optimize(context, wanted, package, (made, kept), given, python, (target, max_drop))
        refused = _promoted(context, done, alias) if promote and done["best"] else None
    context.answer(done, lambda console: shown(console, done))
    if refused:
        raise refused


def _trained(model: str) -> Path:
    from amaas.local.training import trained

    folder = trained(model)
    if not folder.is_dir():
        raise AmaasError(f"{folder} is not there: give --package, the folder that {model} was pushed from")
    return folder


def _optimize(
    context: Context, wanted: tuple[str, str], package: Path, folders: tuple[Path, Path], given: list[str],
    python: str | None, gate: tuple[str, float],
) -> dict[str, Any]:  # fmt: skip
    """folders: where the search writes its packages, and where its figures and plot stay."""
    from amaas.local import optimize as work
    from amaas.local.training import environment

    (model, version), (out, kept) = wanted, folders
    with context.client() as client:
        base = work.registered(client, model, version, package)["version"]
        inputs = work.golden(package)
        report = work.search(*environment(python), package, out, given)
        work.keep(out, kept)
        rows = work.worth(report)
        work.register(client, model, out, rows, complain)
        rows.insert(0, next(row for row in report["steps"] if row["step"] == work.PARENT) | {"version": base})
        versions = [row["version"] for row in rows if "version" in row]
        compared = work.compared(rows, base, work.measured(client, model, versions, inputs))
    chosen = work.best(rows, *gate)
    return {
        "model": model, "from": base, "target": gate[0], "max_drop": gate[1], "compared": compared, "versions": rows,
        "best": chosen, "refused": report["refused"], "promoted": None, "kept": str(kept),
    }  # fmt: skip


def _promoted(context: Context, done: dict[str, Any], alias: str) -> AmaasError | None:
    """Notes `promoted`, or returns why nothing was: what was measured is to be shown all the same."""
    from amaas.local import optimize as work

    with context.client() as client:
        try:
            done["promoted"] = work.promote(client, done["model"], done["from"], done["best"], alias)
        except AmaasError as error:
            return error
    return None


def shown(out: Console, done: dict[str, Any]) -> None:
    from amaas.cli import tables

    right = ("version", "size", "validation", "drop", "in service", "round trip")
    table = tables._table("step", "version", "size", "validation", "drop", "in service", "round trip", "", right=right)
    for row in done["versions"]:
        accuracy = f"{row['validation_accuracy']:.2%}" if "validation_accuracy" in row else ""
        own = f"{row['latency_ms']:.3f} ms" if "latency_ms" in row else ""
        trip = f"{row['round_trip_ms']:.1f} ms" if "round_trip_ms" in row else ""
        said = "not registered" if "refused" in row else "" if row["step"] == "parent" else row["speed"]
        size = tables.size(row["size"])
        tables._row(table, row["step"], row.get("version"), size, accuracy, row.get("drop"), own, trip, said)
    out.print(table)
    for step, reason in done["refused"].items():
        tables.line(out, step, f"was left out: {reason}")
    tables.line(
        out,
        f"{done['kept']}/pareto.svg",
        "shows accuracy against size and latency, pareto.json beside it has the figures",
    )
    tables.line(out, done["model"], _verdict(done))


def _verdict(done: dict[str, Any]) -> str:
    chosen = done["best"]
    if chosen is None:
        better = "faster" if done["target"] == "latency" else "smaller and not slower"
        return f"no version is {better} in service ({done['compared']}): version {done['from']} stays"
    named = f"version {chosen['version']} ({chosen['step']}) is best by {done['compared']}"
    if done["promoted"]:
        return f"{named}; {done['promoted']['alias']} is now version {chosen['version']}"
    if chosen["drop"] is None:
        named += ", but what it costs in accuracy was not measured"
    return f"{named}; `amaas promote {done['model']} {chosen['version']}` takes it into use"
