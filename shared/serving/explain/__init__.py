"""Why a model answered as it did: how much each part of an input adds to the score of one class.

All methods but class activation maps only call the model, with parts of the input taken away; so they hold for any
model. They are deterministic: random numbers come from the caller's seed. docs/decisions/0011-explain.md. A task calls
the method that fits its input.

images  patches covered (occlusion), random masks (RISE), or the package's own class maps
texts   each word left out
        of models that generate text: of the prompt, by the log-probability of an answer
tables  Shapley values, by sampled permutations against the package's reference rows
sounds  each stretch of time silenced
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.serving.inputs.request import no_nulls
from shared.serving.loaded import Loaded
from shared.serving.outputs import classification

MOST_TOKENS = 64  # of an answer that is explained


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller may ask of an explanation, in the query."""

    label: Annotated[str | None, Meta(description="the class to explain, by name or number; omitted: the best one")] = (
        None
    )
    method: Annotated[
        Literal["occlusion", "rise", "cam"] | None, Meta(description="of images; `cam` needs class activation maps")
    ] = None
    samples: Annotated[
        Annotated[int, Meta(ge=8, le=4000)] | None, Meta(description="how many random samples are drawn")
    ] = None
    seed: Annotated[
        int, Meta(ge=0, le=2**32 - 1, description="of the random samples; the same seed gives the same answer")
    ] = 0
    format: Annotated[
        Literal["json", "png"],
        Meta(description="of images: numbers, or a picture with the parts that speak for the class in red"),
    ] = "json"
    target: Annotated[
        str | None, Meta(description="of text generation: the answer to explain; omitted: the model's own")
    ] = None
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_TOKENS)] | None,
        Meta(description="of text generation: how long the model's own answer may be, in tokens"),
    ] = None


def read_options(query: dict[str, Any]) -> Options:
    """Raises BadInput."""
    try:
        # a class may be called so, and an answer be that
        no_nulls({name: value for name, value in query.items() if name not in ("label", "target")})
        return msgspec.convert(query, Options, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"the options do not fit: {error}; there are {', '.join(Options.__struct_fields__)}") from error


def class_index(loaded: Loaded, scores: np.ndarray, options: Options) -> int:
    """The class to explain. Raises BadInput for one that the model lacks."""
    labels = loaded.manifest.labels
    if options.label is None:
        return int(scores.argmax())
    if options.label in labels[: len(scores)]:
        return labels.index(options.label)
    number = options.label
    if number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(scores):
        return int(number)
    raise BadInput(f"the model has no class {options.label[:80]!r}: it has {labels[:20] or len(scores)}")


def heading(loaded: Loaded, scores: np.ndarray, index: int, method: str) -> dict[str, Any]:
    """What every explanation begins with."""
    label = classification.label(loaded.manifest.labels, index)
    return {"label": label, "score": round(float(scores[index]), 6), "method": method}


def rounded(values: np.ndarray) -> list[Any]:
    listed: list[Any] = np.round(values.astype(np.float64), 6).tolist()
    return listed
