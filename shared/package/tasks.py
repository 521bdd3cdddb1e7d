"""What models can mean: one line per task, from which manifest, serving, checks and explanations derive all they know.

To add a task, add its line here, and shared/serving/tasks/NAME.py (with underscores for dashes), which answers for it.
"""

from __future__ import annotations

from msgspec import Struct


class Task(Struct, frozen=True):
    """What a package of a task may declare.

    preprocess, postprocess: kinds (processing.py), of which the first is implied; none where none may be declared.
    required: members without which a package is served as one of the task `tensor`. explained: /explain has a method.
    """

    preprocess: tuple[str, ...] = ()
    postprocess: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    explained: bool = False


TEXT_GENERATION, SPEECH_TO_TEXT = "text-generation", "speech-to-text"
DECODED = (TEXT_GENERATION, SPEECH_TO_TEXT)  # token by token, by the function for them
TENSOR = "tensor"  # no meaning is declared: tensors in, tensors out
TASKS = {
    "image-classification": Task(("image",), ("scores",), explained=True),
    "object-detection": Task(("image",), ("boxes",)),
    "text-classification": Task(("text",), ("scores",), explained=True),
    "zero-shot-classification": Task(("text", "image"), ("entailment", "similarity")),
    "token-classification": Task(("text",), ("entities",)),
    "embedding": Task(("text", "image", "audio"), ("vector",)),
    "audio-classification": Task(("audio",), ("scores",), explained=True),
    "tabular": Task(("table",), ("scores",), required=("preprocess",), explained=True),
    "tabular-regression": Task(("table",), required=("preprocess",), explained=True),
    TEXT_GENERATION: Task(("prompt",), ("generation",), required=("preprocess",), explained=True),
    SPEECH_TO_TEXT: Task(("speech",), ("transcription",), required=("preprocess", "postprocess")),
    TENSOR: Task(),
}
