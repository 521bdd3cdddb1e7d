"""What a task is to those who serve, check and explain models; none of them knows a task by its name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from msgspec import Struct

from shared.errors import BadInput, NotImplemented_
from shared.package.manifest import Manifest
from shared.package.table import CSV_OPTIONS
from shared.serving.inputs import request
from shared.serving.inputs.request import Inputs, Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching

if TYPE_CHECKING:
    from shared.serving.explain import Options as ExplainOptions
    from shared.serving.inputs.examples import Example

Request = tuple[bytes, str, dict[str, str]]  # body, content type, query


class Together(Struct, frozen=True):
    """What one of several requests is answered. ns: its share of the time. cut: the time was over before its end."""

    answer: dict[str, Any]
    ns: int
    cut: bool


class Task(Protocol):
    """One task: each module beside this one has an instance, TASK. Only `answer` has to be written.

    What it takes is declared in shared/package/tasks.py, by the kind of `preprocess`: Manifest.input_kind.
    """

    @abstractmethod
    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        """One JSON object for each of the items, which are at most as many as `per_run` says. Raises BadInput."""

    def read(self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
        """The inputs in a body. Raises BadInput, TooLarge, Unsupported for a content type that is not of its kind."""
        kind = loaded.manifest.input_kind
        assert kind is not None, "a task that takes tensors reads them itself"
        inputs = request.read(body, content_type, kind, query)
        if kind == "image" and inputs.many:
            from shared.serving.inputs import images

            images.check_pixels(inputs.items)
        return inputs

    def per_run(self, loaded: Loaded) -> int:
        """How many inputs are answered at a time."""
        return batching.per_run(loaded)

    def read_explained(
        self, loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]
    ) -> tuple[Any, ExplainOptions]:
        """The one input to explain, and what is asked of it. Raises as `read` does."""
        from shared.serving.explain import read_options

        dialect = {name: value for name, value in query.items() if name in CSV_OPTIONS}
        options = read_options({name: value for name, value in query.items() if name not in dialect})
        return one_of(self.read(loaded, body, content_type, dialect).items), options

    together: ClassVar[bool] = False  # whether `answer_together` has a way to

    def answer_together(self, loaded: Loaded, requests: Sequence[Request]) -> list[Together | None]:
        """Answers to several requests of one input each, where that takes less time than one after the other.

        None: this one has to be asked alone, which also tells what is wrong with it.
        """
        return [None] * len(requests)

    def explain(self, loaded: Loaded, item: Any, options: ExplainOptions) -> dict[str, Any] | bytes:
        """How much each part of one input adds to a score, or a picture of it (PNG); see shared/serving/explain.

        Called only for tasks that are `explained` in the package's table. Raises BadInput.
        """
        raise NotImplemented_(f"there is no method to explain the task {loaded.manifest.task!r}")

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        """How many labels fit the outputs of a run over so many rows; None where the answer has no labels."""
        return None

    def examples(self, loaded: Loaded, shapes: Mapping[str, list[int]]) -> Iterator[Example]:
        """Inputs for the smoke test, the likeliest to be answered first; see inputs/examples.py."""
        from shared.serving.inputs import examples

        return examples.of_kind(loaded, shapes)

    def prepare(self, manifest: Manifest) -> None:
        """Import, and use once, what would open files later: the smoke test's sandbox can open none."""
        from shared.serving.inputs import examples

        examples.prepare(manifest)


def one_of(items: list[Any]) -> Any:
    """The only input of a call. Raises BadInput where it has several."""
    if len(items) != 1:
        raise BadInput(f"one input is explained at a time, the body has {len(items):,}")
    return items[0]
