"""Models whose answers are decoded token by token: which of two functions serves them, and what the other one says."""

from __future__ import annotations

from shared.errors import BadInput
from shared.package.tasks import SPEECH_TO_TEXT


class GeneratesText(BadInput):
    """The version is of those that the function for them serves."""


def require(generates: bool | None, model: str, task: str, *, is_decoder: bool) -> None:
    """Raises BadInput for a version that another function serves, which says nothing of the version.

    generates: what this process serves: such models, others, or (None) both. task: of the version.
    """
    if generates in (None, is_decoder):
        return
    if not is_decoder:
        raise BadInput(
            f"{model!r} is of the task {task}, and generates no text: POST /models/{model}/predict or "
            f"/v2/models/{model}/infer"
        )
    if task == SPEECH_TO_TEXT:
        raise GeneratesText(
            f"{model!r} makes text of speech, which this route does not: POST /v1/audio/transcriptions or "
            f"/models/{model}/predict"
        )
    raise GeneratesText(
        f"{model!r} generates text, which this route does not: POST /v1/chat/completions, /v1/completions, "
        f"/models/{model}/predict or /v2/models/{model}/generate"
    )
