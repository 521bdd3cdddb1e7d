"""What the bodies of chats and completions have in common, and what of it is not done here."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared import json_faults
from shared.errors import BadInput
from shared.serving import whole_numbers
from shared.serving.generation.engine import Ask
from shared.serving.generation.sampling import MOST_LOGPROBS

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Stop = Annotated[str, Meta(min_length=1, max_length=200)]
MOST_STOPS = 16


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class Options(Struct, frozen=True, kw_only=True):
    """Members of both bodies. Others are ignored, but for those that would change the answer; see `refuse`.

    n: 1. top_k, min_p, repetition_penalty: as vLLM's and others' servers have them, beyond OpenAI's own.
    """

    model: Annotated[str, Meta(min_length=1, max_length=300)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=1_000_000)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=MOST_STOPS)] | None = None
    n: int | None = None
    logit_bias: dict[str, float] | None = None
    best_of: int | None = None

    @property
    def usage_in_stream(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def ask(self, **more: Any) -> Ask:
        """Raises BadInput for what is not done here."""
        for name, value, fine in (("n", self.n, (None, 1)), ("best_of", self.best_of, (None, 1))):
            if value not in fine:
                raise BadInput(f"{name} is {value}: this server gives one answer for a call; call it {value} times")
        if self.logit_bias:
            raise BadInput("logit_bias is not supported: omit it")
        top_k = None if self.top_k is None else max(self.top_k, 0)  # -1: no cut, elsewhere
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        values = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_k": top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "presence_penalty": self.presence_penalty or 0.0,
            "frequency_penalty": self.frequency_penalty or 0.0,
            "seed": self.seed,
            "stop": stop,
        }
        return Ask(**(values | more))


def read(body: bytes, kind: Any) -> Any:
    """A body, as one of the requests. Raises BadInput that names the member."""
    try:
        return whole_numbers.decoded(body or b"{}", kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"the body does not fit: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not valid JSON: {json_faults.reason(body, error)}") from error


def checked_logprobs(count: int | None) -> int | None:
    """How many likely tokens are told of beside each. Raises BadInput."""
    if count is not None and not 0 <= count <= MOST_LOGPROBS:
        raise BadInput(f"{count} likely tokens are asked for beside each: 0 to {MOST_LOGPROBS} are told")
    return count


def event(content: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


DONE = b"data: [DONE]\n\n"
EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
