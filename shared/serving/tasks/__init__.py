"""What models mean: one module per task, which makes answers of inputs in terms that people understand.

A task's module is imported when it is first called, so that nobody pays for Pillow who sends no image. It has
`TAKES` (or `takes(loaded)`), the kind of its inputs; `step(loaded)`, how many of them go into one run; and
`answer(loaded, items, options)`, one answer per input.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shared.errors import NotImplemented_, TooLarge
from shared.package.manifest import Manifest
from shared.serving.inputs.request import Given, read
from shared.serving.loaded import Loaded

MODULES = {
    "image-classification": "shared.serving.tasks.image_classification",
    "object-detection": "shared.serving.tasks.object_detection",
    "text-classification": "shared.serving.tasks.text_classification",
    "token-classification": "shared.serving.tasks.token_classification",
    "embedding": "shared.serving.tasks.embedding",
    "audio-classification": "shared.serving.tasks.audio_classification",
    "tabular": "shared.serving.tasks.tabular",
}


def predict(loaded: Loaded, body: bytes, content_type: str, options: dict[str, str]) -> dict[str, Any]:
    """Answer in the task's own terms: an answer, or `{"results": […]}` with one per input where a list was sent.

    Raises BadInput, Unsupported, TooLarge, and NotImplemented_ for a task that has only the tensor protocol.
    """
    named = {"model": loaded.name, "version": loaded.version.version}
    if _in_tensors(loaded.manifest):
        in_tensors: dict[str, Any] = import_module("shared.serving.tasks.tensor").predict(loaded, body, content_type)
        return named | in_tensors
    module = _module(loaded)
    given = _given(module, loaded, body, content_type, options)
    size = module.step(loaded)
    groups = [given.items[start : start + size] for start in range(0, len(given.items), size)]
    try:
        answers = [answer for group in groups for answer in module.answer(loaded, group, given.options)]
    except MemoryError as error:
        raise TooLarge("the input takes more memory than there is: send a smaller one, or fewer in a call") from error
    return named | ({"results": answers} if given.many else answers[0])


def in_own_terms(manifest: Manifest) -> bool:
    """Whether a model is asked in its task's own terms, and not in tensors."""
    return manifest.task in MODULES and not _in_tensors(manifest)


def _in_tensors(manifest: Manifest) -> bool:
    return manifest.task == "tensor" or (manifest.task == "tabular" and manifest.preprocess is None)


def _module(loaded: Loaded) -> Any:
    task = loaded.manifest.task
    if task not in MODULES:
        raise NotImplemented_(
            f"/predict is not there yet for the task {task!r}: POST tensors to /v2/models/{loaded.name}/infer"
        )
    return import_module(MODULES[task])


def _given(module: Any, loaded: Loaded, body: bytes, content_type: str, options: dict[str, str]) -> Given:
    if hasattr(module, "given"):
        found: Given = module.given(loaded, body, content_type, options)
        return found
    takes = module.takes(loaded) if hasattr(module, "takes") else module.TAKES
    found = read(body, content_type, takes, options)
    if takes == "image" and found.many:
        import_module("shared.serving.inputs.images").weigh(found.items)
    return found
