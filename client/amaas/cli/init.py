"""The verb that writes a first amaas.json for a model, by asking."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amaas.cli.base import Context, note, verb
from amaas.errors import AmaasError

if TYPE_CHECKING:
    from amaas.api.graph import Tensor

verbs = click.Group()
SCHEMA = "amaas.schema.json"


class Questions:
    """Asks, or takes what is suggested."""

    def __init__(self, *, take_all: bool) -> None:
        self.take_all = take_all

    def ask(self, question: str, suggested: str | None, choices: tuple[str, ...] = (), said: str | None = None) -> str:
        """said: by an option. Raises AmaasError where nobody answers, and nothing is suggested."""
        if said is not None:
            return said
        if self.take_all:
            if suggested is None:
                raise AmaasError(f"there is no answer to {question!r}: give its option, or answer without --yes")
            return suggested
        kind = click.Choice(choices) if choices else None
        return str(click.prompt(question, default=suggested, type=kind, show_choices=False, err=True))


@verb(verbs)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--task", help="What the model means; else it is asked, with a suggestion.")
@click.option("--graph", help="Of a folder in Hugging Face's form with several ONNX files: which.")
@click.option("--labels", help="A file with a label on each line, or labels with commas between them.")
@click.option("--columns", help="Of a table: a CSV file with a header and examples, or names with commas.")
@click.option("--target", help="The column of that file which the model tells.")
@click.option("--pixels", help="What pixels become: 0..1, -1..1, 0..255 or imagenet.")
@click.option("--yes", is_flag=True, help="Take what is suggested instead of asking.")
def init(context: Context, path: Path, graph: str | None, yes: bool, **said: str | None) -> None:
    """Write an amaas.json for a model, by asking what its graph does not say.

    PATH is an .onnx file, a folder with model.onnx, or one in Hugging Face's form: there, only what `amaas push` does
    not derive is asked. Beside the amaas.json lies its JSON Schema, by which editors
    complete and check it. A file of another name is copied into a folder of its own, as model.onnx.
    """
    from amaas.api import package

    folder = path if path.is_dir() else path.parent if path.name == package.MODEL else path.parent / path.stem
    if (folder / package.MANIFEST).exists():
        raise AmaasError(f"{folder / package.MANIFEST} is there already: edit it, or remove it first")
    questions = Questions(take_all=yes)
    derived = _derived(questions, path, graph, said)
    files, described = ({}, derived) if derived else _asked(questions, path, said)
    folder.mkdir(exist_ok=True)
    for name, file in files.items():
        if file.parent.resolve() != folder.resolve() and not (folder / name).exists():
            shutil.copyfile(file, folder / name)
    name = path.resolve().name if path.is_dir() else path.stem
    manifest = {"$schema": SCHEMA, "name": name, **described}
    shutil.copyfile(Path(package.__file__).parents[1] / SCHEMA, folder / SCHEMA)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / package.MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    if not derived and described["task"] != "tensor":
        note("a golden set is worth its minute: inputs and outputs in golden.npz, which the check on upload runs")
    answer = {"folder": str(folder), "manifest": manifest}
    push = f"amaas push {folder}" + (f" --graph {graph}" if graph else "")
    context.report(answer, str(folder / package.MANIFEST), f"is written; `{push}` is next")


def _derived(questions: Questions, path: Path, graph: str | None, said: dict[str, str | None]) -> dict[str, Any] | None:
    """What push derives of a folder, with labels asked for where it says none. None: of another task, or not derived.

    Without the card, which push takes from README.md as it then is.
    """
    from amaas.api import describe, package
    from amaas.api.graph import signature
    from amaas.api.huggingface import graph as chosen

    found = package.derived(path, graph)
    if found is None or said["task"] not in (None, found[0]["task"]):
        if graph:
            raise AmaasError(f"--graph is for folders whose task is derived, and {path} is described by asking")
        return None
    described, notes = found
    package.tell([*notes, f"{described['task']}, as the files in {path} say"], note)
    if described["task"] in describe.LABELED and (said["labels"] is not None or "labels" not in described):
        _, outputs = signature(chosen(path, graph)) or ([], [])
        described |= _labels(questions, outputs, said)
    if described["task"] == "image-classification" and said["pixels"] is not None:
        described["preprocess"] = describe.with_pixels(described["preprocess"], said["pixels"])
    return {name: value for name, value in described.items() if name != "card"}


def _asked(questions: Questions, path: Path, said: dict[str, str | None]) -> tuple[dict[str, Path], dict[str, Any]]:
    """The package's files, and what is said of them."""
    from amaas.api import foreign, graph, package

    files = package.files(path)
    signature = graph.signature(files[package.MODEL])
    if signature is None:
        said_of_it = foreign.refusal_of_file(path) if path.is_file() else None
        raise AmaasError(said_of_it or f"{files[package.MODEL]} is no ONNX model: export it first, or unpack it")
    return files, _described(questions, *signature, path if path.is_dir() else path.parent, said)


def _described(
    questions: Questions, inputs: list[Tensor], outputs: list[Tensor], folder: Path, said: dict[str, str | None]
) -> dict[str, Any]:
    from amaas.api import describe

    suggested = describe.task(inputs, outputs, are_columns_named=said["columns"] is not None)
    task = questions.ask(f"Task, one of {', '.join(describe.TASKS)}", suggested, describe.TASKS, said["task"])
    if task not in describe.TASKS:
        raise AmaasError(f"there is no task {task!r:.60} that is described by asking: {', '.join(describe.TASKS)}")
    described: dict[str, Any] = {"task": task}
    plan = _plan(questions, task, inputs, folder, said)
    described |= {"preprocess": plan} if plan else {}
    scores = describe.scores_of(outputs)
    if task in describe.LABELED and scores is not None and scores != outputs[0]:
        described["postprocess"] = {"output": scores.name}
    return described | (_labels(questions, outputs, said) if task in describe.LABELED else {})


def _labels(questions: Questions, outputs: list[Tensor], said: dict[str, str | None]) -> dict[str, Any]:
    from amaas.api import describe

    scores = describe.scores_of(outputs)
    count = scores.shape[1] if scores is not None else None
    question = "Labels: a file with one on each line, or with commas; none: empty"
    names = questions.ask(question, "", (), said["labels"])
    return {"labels": describe.labels(names, count)} if names else {}


def _plan(
    questions: Questions, task: str, inputs: list[Tensor], folder: Path, said: dict[str, str | None]
) -> dict[str, Any]:
    """preprocess; empty where the task implies it."""
    from amaas.api import describe

    if task in ("image-classification", "object-detection"):
        return _image(questions, inputs[0], said)
    if task in describe.TEXTS or (task == "embedding" and any(tensor.name == "input_ids" for tensor in inputs)):
        return _text(questions, inputs, folder)
    if task == "audio-classification":
        rate = questions.ask("Samples a second that the model hears", str(describe.RATE))
        seconds = questions.ask("Seconds that it hears at once", "1")
        return {"sample_rate": int(_number(rate)), "seconds": _number(seconds)}
    return _table(questions, inputs, said) if task in ("tabular", "tabular-regression") else {}


def _image(questions: Questions, tensor: Tensor, said: dict[str, str | None]) -> dict[str, Any]:
    from amaas.api import describe

    if len(tensor.shape) != 4 or describe.channels(tensor) is None:
        raise AmaasError(f"the input {tensor.name!r} has the shape {tensor.shape}, and an image's has 1 or 3 channels")
    size = None
    if describe.has_open_size(tensor):
        height, _, width = questions.ask("Height and width in pixels", f"{describe.SIDE}x{describe.SIDE}").partition(
            "x"
        )
        size = int(_number(height)), int(_number(width or height))
    raw = tensor.datatype == "UINT8"
    choices = tuple(describe.PIXELS)
    question = f"What the model was trained to get of pixels, one of {', '.join(choices)}"
    pixels = questions.ask(question, "0..255" if raw else "0..1", choices, said["pixels"])
    return describe.image(tensor, size, pixels)


def _text(questions: Questions, inputs: list[Tensor], folder: Path) -> dict[str, Any]:
    from amaas.api import describe

    if all(tensor.datatype == "BYTES" for tensor in inputs):
        return {"kind": "text"}
    if not (folder / "tokenizer.json").is_file():
        raise AmaasError(
            f"the model takes tokens, and there is no tokenizer.json in {folder}: save it there, as "
            "`tokenizer.save_pretrained(FOLDER)` of transformers does"
        )
    longest = questions.ask("Longest text, in tokens", str(describe.TOKENS))
    return {"tokenizer": "tokenizer.json", "max_length": int(_number(longest))}


def _table(questions: Questions, inputs: list[Tensor], said: dict[str, str | None]) -> dict[str, Any]:
    from amaas.api import describe

    count = len(describe.columns(inputs))
    names = ",".join(describe.columns(inputs)) if count <= describe.MOST_NUMBERED else None
    question = "Columns: a CSV file with a header and examples, or names with commas"
    chosen, more = describe.table(questions.ask(question, names, (), said["columns"]), inputs)
    if not more:
        return {"columns": chosen}
    target = questions.ask(
        f"Which column does the model tell, of {describe.listed(more)}", more[-1], (), said["target"]
    )
    left = [column for column in chosen if column["name"] != target]
    if len(left) != count:
        raise AmaasError(f"without {target!r:.60} there are {len(left)} columns, and the model takes {count}")
    return {"columns": left, "target": target}


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise AmaasError(f"{text!r:.60} is no number") from None
    return int(value) if value.is_integer() else value
