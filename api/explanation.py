"""The contract of explanations: types of requests and responses. inference_routes.py has their routes."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.serving.explain import MOST_TOKENS


class ExplainParameters(Struct, kw_only=True, forbid_unknown_fields=True):
    """Of text generation: as in the query, where a text may be too long for it."""

    target: str | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=MOST_TOKENS)] | None = None


class ExplainRequest(Struct, kw_only=True):
    """input: one, as /predict takes it."""

    input: Any
    parameters: ExplainParameters | UnsetType = UNSET


class Attribution(Struct, kw_only=True):
    """What a part of the input adds to the score: words and stretches have start and end, columns a name.

    message: where messages were sent, the place of the one that the part is of.
    """

    attribution: float
    text: str | UnsetType = UNSET
    start: float | UnsetType = UNSET
    end: float | UnsetType = UNSET
    message: int | UnsetType = UNSET
    column: str | UnsetType = UNSET
    value: Any = UNSET


class Explanation(Struct, kw_only=True):
    """attributions: rows of numbers for an image's patches, else one object per part.

    label, score: of the class. image: height and width. seen: left, top, right, bottom of what the model saw of it.
    base: the score of the average. answer: of text generation, the text that is explained, of so many answer_tokens;
    score is its log-probability then.
    """

    model: str
    version: int
    label: str | UnsetType = UNSET
    score: float
    method: str
    attributions: list[list[float] | Attribution]
    image: list[int] | UnsetType = UNSET
    seen: list[float] | UnsetType = UNSET
    base: float | UnsetType = UNSET
    answer: str | UnsetType = UNSET
    answer_tokens: int | UnsetType = UNSET
