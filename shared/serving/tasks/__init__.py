"""One module per task: `predict(loaded, request body, content type, options)` gives what the task means.

A task's module is imported when it is first called, so that nobody pays for Pillow who sends no image.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shared.errors import NotImplemented_
from shared.serving.cache import Loaded

MODULES = {
    "image-classification": "shared.serving.tasks.image_classification",
    "tensor": "shared.serving.tasks.tensor",
    "tabular": "shared.serving.tasks.tensor",
}


def predict(loaded: Loaded, body: bytes, content_type: str, options: dict[str, str]) -> dict[str, Any]:
    """Answer in the task's own terms; raises NotImplemented_ for a task that has only the tensor protocol."""
    task = loaded.manifest.task
    if task not in MODULES:
        raise NotImplemented_(
            f"/predict is not there yet for the task {task!r}: POST tensors to /v2/models/{loaded.name}/infer"
        )
    answer = import_module(MODULES[task]).predict(loaded, body, content_type, options)
    return {"model": loaded.name, "version": loaded.version.version, **answer}
