"""The verb that checks a package on this machine, without a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from amaas.cli.base import Context, note, verb
from amaas.cli.source import source_options

verbs = click.Group()


@verb(verbs)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--model", help="The model's name. Default: as of push.")
@source_options
def check(context: Context, path: Path, model: str | None, **source: Any) -> None:
    """Check a package as the upload does, on this machine and without a service.

    The same gate: the graph, what it computes, the golden set, one prediction in the terms of its task. Exit status 3
    if it would be rejected, with the reason. Needs Linux, and amaas[check], or a checkout in which `make run` was run.
    """
    from amaas.api import package
    from amaas.local import gate

    with package.opened(path, note=note, **source) as files:
        outcome = gate.check(model or package.model_name(path, files), files)
    context.answer(outcome, lambda out: _show(out, outcome))


def _show(out: Any, outcome: dict[str, Any]) -> None:
    from amaas.cli.display import tables

    manifest = outcome["manifest"]
    found = manifest.get("gate") or {}
    task = manifest.get("task", "tensor")
    tables.line(out, manifest["name"], f"would be registered: {task}, {outcome['size']:,} bytes to serve")
    for side in ("inputs", "outputs"):
        for tensor in manifest.get(side) or []:
            shape = ", ".join("any" if size < 0 else str(size) for size in tensor["shape"])
            tables.line(out, f"  {side[:-1]} {tensor['name']}", f"{tensor['datatype']} [{shape}]")
    golden = found.get("golden")
    if golden:
        tables.line(out, "  golden set", f"{golden['cases']} cases, differing by {golden['max_abs']:.3g} at most")
    else:
        tables.line(out, "  golden set", "none: add one, and each upload shows that the model still answers the same")
    tables.line(out, "  checked in", f"{outcome['seconds']} s")
