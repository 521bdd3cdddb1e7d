"""What models mean: one module per task, which makes answers of inputs in terms that people understand.

A task's module is imported when it is first called, so that calls without images do not import Pillow. Which tasks
there are is declared in shared/package/tasks.py; what each has to say is the Protocol in base.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from msgspec.structs import replace

from shared import budget
from shared.errors import NotImplemented_, TooLarge
from shared.package.manifest import Manifest
from shared.package.table import CSV_OPTIONS
from shared.package.tasks import TASKS, TENSOR
from shared.serving.inputs.request import Inputs
from shared.serving.loaded import Loaded
from shared.serving.tasks.base import Request, Task, Together
from shared.values import texts
from shared.values.numbers import NoNumber

FORM = "multipart/form-data"
MODULES = "shared.serving.tasks.*"  # read by tools/closure.py: all of them are built into what reaches this one


def of(manifest: Manifest) -> Task:
    """The task in whose terms a model is asked. Raises NotImplemented_ for one of another release."""
    name = manifest.served_task
    if name not in TASKS:
        raise NotImplemented_(
            f"this release does not know the task {name!r}: POST tensors to /v2/models/{manifest.name}/infer"
        )
    return _imported(name)


@cache
def _imported(name: str) -> Task:
    task: Task = import_module(MODULES.replace("*", name.replace("-", "_"))).TASK
    return task


def in_own_terms(manifest: Manifest) -> bool:
    """Whether a model is asked in its task's own terms, and not in tensors."""
    return manifest.served_task in TASKS and manifest.served_task != TENSOR


def predict(loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> dict[str, Any]:
    """Answer in the task's own terms: an answer, or `{"results": […]}` with one per input where a list was sent.

    content_type: of the body, with its charset. Raises BadInput, Unsupported, TooLarge, and NotImplemented_ for a task
    of another release.
    """
    task = of(loaded.manifest)
    inputs = task.read(loaded, *_sent(loaded.manifest, body, content_type, query))
    items, size = inputs.items, task.per_run(loaded)
    if loaded.manifest.input_kind in ("text", "table"):  # of sounds, the samples are noted when they are decoded
        loaded.note(items)
    try:
        answers: list[dict[str, Any]] = []
        with budget.part():
            for start in range(0, len(items), size):
                with budget.part(), _counted_from(start, size, inputs):
                    answers += task.answer(loaded, items[start : start + size], inputs.options)
    except MemoryError as error:
        raise TooLarge("the input takes more memory than there is: send a smaller one, or fewer in a call") from error
    return _heading(loaded) | ({"results": answers} if inputs.many else answers[0])


def _sent(manifest: Manifest, body: bytes, content_type: str, query: dict[str, str]) -> Request:
    """A body in UTF-8, its type, and the options: also what a CSV's type says of how it is written, or a form."""
    declared = texts.content_type(content_type)
    if declared.kind == FORM:
        from shared.serving.inputs import form  # most calls are none

        body, content_type, query = form.as_raw(body, content_type, query, manifest.input_kind)
        declared = texts.content_type(content_type)
    dialect = {name: declared.parameters[name] for name in CSV_OPTIONS if name in declared.parameters}
    return *texts.in_utf8(body, content_type), {**query, **(dialect if declared.kind == "text/csv" else {})}


@contextmanager
def _counted_from(start: int, size: int, inputs: Inputs) -> Iterator[None]:
    """Of several inputs, say which one is answered with what is no number."""
    try:
        yield
    except NoNumber as error:
        if not inputs.many:
            raise
        raise NoNumber(f"input {start + (error.row if size > 1 else 0)}: {error}") from error


def predict_together(loaded: Loaded, requests: Sequence[Request]) -> list[Together | None]:
    """As `predict`, of several requests at once, as far as the task has a way to; None: ask for this one alone.

    Raises Unavailable, Crashed, OutOfTime.
    """
    answers = of(loaded.manifest).answer_together(loaded, requests)
    return [one and replace(one, answer=_heading(loaded) | one.answer) for one in answers]


def explain(loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> dict[str, Any] | bytes:
    """The attributions of one input, or a picture of them (PNG). Raises BadInput, Unsupported, NotImplemented_."""
    task = of(loaded.manifest)
    require_explained(loaded.manifest)
    item, options = task.read_explained(loaded, *_sent(loaded.manifest, body, content_type, query))
    try:
        with budget.part():
            explanation = task.explain(loaded, item, options)
    except MemoryError as error:
        raise TooLarge("the explanation takes more memory than there is: send a smaller input") from error
    return explanation if isinstance(explanation, bytes) else _heading(loaded) | explanation


def require_explained(manifest: Manifest) -> None:
    """Raises NotImplemented_ for a model of a task that there is no method for."""
    if not TASKS[manifest.served_task].explained:
        explained = [name for name, declared in TASKS.items() if declared.explained]
        raise NotImplemented_(
            f"there is no method to explain {manifest.task!r}: it takes a model of one of the tasks "
            f"{', '.join(explained)}, with its inputs declared in preprocess"
        )


def _heading(loaded: Loaded) -> dict[str, Any]:
    return {"model": loaded.name, "version": loaded.version.version}
