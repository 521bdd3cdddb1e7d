"""The verb `optimize`: search here, register what is worth it, measure it in service; judge a language model here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from amaas.cli.base import Context, ForwardingCommand, LocalFolder, note, reference, verb
from amaas.errors import AmaasError

if TYPE_CHECKING:
    from amaas.client import Client

Json = dict[str, Any]
verbs = click.Group()


class Request(NamedTuple):
    """What `amaas optimize` takes. max_drop: percentage points of accuracy. forwarded: the arguments after `--`.

    floor, graph: of language models, see training/language. steps: all that fit, where there are none.
    """

    model: tuple[str, str | None]
    steps: tuple[str, ...]
    floor: float | None
    graph: str | None
    package: Path | None
    data: str | None
    max_drop: float
    target: str
    alias: str
    promote: bool
    out: Path | None
    python: str | None
    forwarded: tuple[str, ...]

    @property
    def figures(self) -> Path:
        """The folder where pareto.json and pareto.svg are kept."""
        return self.out or Path(".local") / "optimized" / self.model[0]

    @property
    def folder(self) -> Path:
        """Where the forms of a language model are written."""
        return self.out or Path(".local") / "optimized" / Path(self.model[0]).resolve().name

    def arguments(self) -> list[str]:
        """Those of the search."""
        brief = [] if self.out else ["--brief"]
        data = ["--data", self.data] if self.data else []
        data += ["--steps", *self.steps] if self.steps else []
        return [*brief, "--target", self.target, "--max-drop", str(self.max_drop), *data, *self.forwarded]

    def language_arguments(self) -> list[str]:
        """Those of a language model's forms."""
        chosen = ["--steps", *self.steps] if self.steps else []
        chosen += ["--floor", str(self.floor)] if self.floor is not None else []
        return [*chosen, *(["--graph", self.graph] if self.graph else []), *self.forwarded]


def _target(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, str | None]:
    """Callback: as `reference`, or a language model's folder, which has no version."""
    return (value, None) if _is_folder(value) else reference(context, parameter, value)


def _is_folder(model: str) -> bool:
    from amaas.api import huggingface

    return huggingface.is_language_model(Path(model))


@verb(verbs, kind=ForwardingCommand)
@click.argument("model", callback=_target, metavar="MODEL[@VERSION]|FOLDER")
@click.option("--steps", multiple=True, metavar="STEP", help="Only this one; may be repeated. Default: all that fit.")
@click.option(
    "--floor",
    type=click.FloatRange(0, 1, max_open=True),
    help="FOLDER: the share of tokens that must agree. Default: 0.95.",
)
@click.option("--graph", help="FOLDER: which of its graphs, such as onnx/model.onnx.")
@click.option(
    "--package", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder that this version was pushed from. Default: where `amaas train --local` wrote it.",
)  # fmt: skip
@click.option(
    "--data",
    help="The training data, as for training.train. Without it, outputs are compared, and no version is promoted.",
)
@click.option("--max-drop", type=click.FloatRange(0), default=0.5, show_default=True,
              help="The loss of accuracy that is accepted, in percentage points.")  # fmt: skip
@click.option("--target", type=click.Choice(["latency", "size"]), default="latency", show_default=True)
@click.option("--alias", default="production", show_default=True, help="The alias that --promote moves.")
@click.option("--promote", is_flag=True, help="Move the alias, if a version is better in service.")
@click.option(
    "--out", type=LocalFolder(path_type=Path),
    help="Keep all packages in this new folder. Default: only pareto.* are kept, in .local/optimized/MODEL.",
)  # fmt: skip
@click.option(
    "--python", help="The training environment's Python. Default: AMAAS_TRAINING_PYTHON, else the checkout's."
)
@click.argument("forwarded", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS]")
def optimize(context: Context, **options: Any) -> None:
    """Search for a smaller or faster form of a version.

    What is worth it is registered, and measured in service. No version is promoted without --promote. Arguments after
    -- go to the search: -- --student cnn --steps int8 prune

    FOLDER, of a language model in FP32 or FP16 as it was exported: its weights in 8 or 4 bits (weight8, mixed,
    weight4), each in a folder of --out that `amaas push` takes. Nothing is registered.
    """
    import tempfile

    from amaas.cli.display import optimize as display

    request = Request(**options)
    if _is_folder(request.model[0]):
        rows = _forms(request)
        context.answer(
            {"forms": rows, "out": str(request.folder)}, lambda out: display.forms(out, rows, request.folder)
        )
        return
    if request.floor is not None or request.graph is not None:
        raise click.UsageError(f"--floor and --graph are for a language model's folder, and {request.model[0]} is none")
    with tempfile.TemporaryDirectory(prefix="amaas-") as folder, context.client() as client:
        result = _optimize(client, request, request.out or Path(folder) / "search")
        refusal = _promote(client, result, request.alias) if request.promote and result["best"] else None
    context.answer(result, lambda out: display.result(out, result))
    if refusal:  # after the measurements, which are of use all the same
        raise refusal


def _optimize(client: Client, request: Request, out: Path) -> Json:
    """out: where the search writes its packages."""
    from amaas.local import optimize as steps
    from amaas.local.training import environment

    model, package = request.model[0], request.package or _trained_package(request.model[0])
    base = steps.base_version(client, model, request.model[1] or request.alias, package)["version"]
    inputs = steps.golden_inputs(package)
    report = steps.search(*environment(request.python), package, out, request.arguments())
    steps.save_figures(out, request.figures)
    rows = steps.worth_registering(report)
    steps.register(client, model, out, rows, note)
    rows.insert(0, next(row for row in report["steps"] if row["step"] == steps.PARENT) | {"version": base})
    versions = [row["version"] for row in rows if "version" in row]
    compared = steps.compare(rows, base, steps.measure(client, model, versions, inputs))
    return {
        "model": model, "from": base, "target": request.target, "max_drop": request.max_drop, "compared": compared,
        "versions": rows, "best": steps.best(rows, request.target, request.max_drop), "refused": report["refused"],
        "promoted": None, "kept": str(request.figures),
    }  # fmt: skip


def _forms(request: Request) -> list[Json]:
    from amaas.local import language
    from amaas.local.training import environment

    folder = Path(request.model[0])
    return language.forms(*environment(request.python), folder, request.folder, request.language_arguments())


def _trained_package(model: str) -> Path:
    from amaas.local.training import package_folder

    folder = package_folder(model)
    if not folder.is_dir():
        raise AmaasError(f"{folder} does not exist: give --package, the folder that {model} was pushed from")
    return folder


def _promote(client: Client, result: Json, alias: str) -> AmaasError | None:
    """Sets `promoted`, or returns why nothing was promoted."""
    from amaas.local import optimize as steps

    try:
        result["promoted"] = steps.promote(client, result["model"], result["from"], result["best"], alias)
    except AmaasError as error:
        return error
    return None
