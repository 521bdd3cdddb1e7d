"""One call of a model that generates text, or makes it of speech: its answer, counted when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared import errors, metrics
from shared.access import texts
from shared.entry.http import Request, Response
from shared.entry.streamed import BrokenOff
from shared.entry.wiring import store
from shared.errors import AmaasError, BadInput
from shared.package.tasks import SPEECH_TO_TEXT, TEXT_GENERATION
from shared.serving.counter import Counter
from shared.serving.generation import engine as engines
from shared.serving.generation.engine import Ask
from shared.serving.generation.loop import End, Piece
from shared.serving.generation.openai import answers
from shared.serving.generation.openai.answers import Timed
from shared.serving.generation.openai.options import EVENTS, event
from shared.serving.loaded import Loaded
from shared.serving.observe import Call, Observers
from shared.serving.speech import engine as speech

logger = logging.getLogger(__name__)
observers = Observers()
Pieces = Iterator[Piece | End]


def observe_for_counts(counter: Counter) -> None:
    observers.subscribe(counter.observe)
    observers.subscribe_to_failed_loads(counter.observe)
    observers.after_answer(counter.work)


class Answering:
    """A call whose model is loaded. route: as it is counted."""

    def __init__(self, request: Request, loaded: Loaded, route: str, started_ns: int) -> None:
        self.loaded = loaded
        self._request, self._route, self._started_ns = request, route, started_ns
        self._place = texts.begin(store(), request.limited, request.id, request.limits)

    def failing(self, work: Callable[[], Any], times: Timed | None = None) -> Any:
        """What `work` gives; an error of it is one of this call. Raises BadInput for what no text and no number is."""
        try:
            return work()
        except (RecursionError, UnicodeEncodeError, OverflowError) as error:
            refusal = BadInput(
                f"the request cannot be used ({type(error).__name__}): it is nested too deep, or has numbers that are "
                "too large, or half of a surrogate pair"
            )
            self._notify(refusal, times)
            raise refusal from error
        except Exception as error:
            self._notify(error, times)
            raise

    def require(self, task: str, routes: str) -> None:
        """Raises BadInput for a model of another task. routes: where such a model is asked."""
        if (found := self.loaded.manifest.served_task) != task:
            raise BadInput(f"{self.loaded.name!r} is of the task {found}, not {task}: POST {routes}")

    def done(self, content: Any, headers: Mapping[str, str] | None = None, used: int = 0) -> Response:
        """An answer that was made by itself. used: text tokens of it."""
        self._notify(None, used=used)
        return Response(content, headers=self._headers() | dict(headers or {}))

    def _headers(self) -> dict[str, str]:
        loaded = self.loaded
        stale = {} if loaded.stale is None else {"x-amaas-stale": str(loaded.stale)}
        versions = {"x-amaas-version": str(loaded.version.version), "x-amaas-revision": str(loaded.revision)}
        return versions | stale

    def _notify(self, error: Exception | None, times: Timed | None = None, used: int = 0) -> None:
        elapsed = time.perf_counter_ns() - self._started_ns
        end = times.end if times else None
        run_ns = int(times.last * 1e9) if times and error is None else 0
        observers.notify(
            Call(
                loaded=self.loaded,
                route=self._route,
                error=error,
                bytes_in=len(self._request.body),
                input_ns=elapsed - run_ns,
                infer_ns=run_ns,
                runs=end.completion_tokens if end else 0,
            )
        )
        if times and end:
            self._tell(times, end)
        if times:
            used = times.prompt + times.pieces
        try:
            texts.end(store(), self._request.limited, self._request.id, self._request.limits, self._place, used)
        except AmaasError as problem:  # the caller has the answer; a place that stays counts no more after a while
            logger.warning("text tokens were not counted", extra={"why": str(problem)})

    def _tell(self, times: Timed, end: End) -> None:
        """Figures of one text, for who has some."""


class Hearing(Answering):
    """Of a model that makes text of speech."""

    def __init__(self, request: Request, loaded: Loaded, route: str, started_ns: int) -> None:
        super().__init__(request, loaded, route, started_ns)
        self.engine = self.failing(self._opened)

    def _opened(self) -> speech.Engine:
        self.require(SPEECH_TO_TEXT, "/v1/chat/completions, or /v1/completions")
        return speech.of(self.loaded)


class Generating(Answering):
    """Of a model that generates text."""

    def __init__(self, request: Request, loaded: Loaded, route: str, started_ns: int) -> None:
        super().__init__(request, loaded, route, started_ns)
        self.engine = self.failing(self._opened)

    def _opened(self) -> engines.Engine:
        self.require(TEXT_GENERATION, "/v1/audio/transcriptions")
        return engines.of(self.loaded)

    def answer(
        self,
        prompt: list[int],
        ask: Ask,
        whole: Callable[[Pieces], Any],
        events: Callable[[Pieces], Iterator[bytes]],
        *,
        streams: bool,
    ) -> Response:
        """The whole answer, or its events. Raises what reading the prompt raises."""
        times = Timed(time.monotonic(), prompt=len(prompt))
        turn = self.failing(lambda: self.engine.generate(prompt, ask, self._request.caller), times)
        pieces = answers.timed(turn, times)
        if streams:
            return Response(None, headers=EVENTS | self._headers(), parts=self._parts(events(pieces), times, turn))
        try:
            content = self.failing(lambda: whole(pieces), times)
        finally:
            turn.close()
        self._notify(None, times)
        ended = {"x-amaas-ended": times.end.cause} if times.end else {}
        return Response(content, headers=self._headers() | ended)

    def _parts(self, events: Iterator[bytes], times: Timed, turn: engines.Turn) -> Iterator[bytes]:
        """The events. One that breaks off says so in its last one, and counts as a fault of the version."""
        problem: Exception | None = None
        try:
            yield from events
        except Exception as error:
            problem = error
            told = str(error) if isinstance(error, AmaasError) else f"internal error: report {self._request.id}"
            code = getattr(error, "code", errors.INTERNAL)
            yield event(
                errors.body_for(errors.OPENAI, getattr(error, "status", 500), told, code, request_id=self._request.id)
            )
            raise BrokenOff from error
        finally:
            turn.close()  # whatever has raised, and whoever still holds the error
            self._notify(problem, times)

    def _tell(self, times: Timed, end: End) -> None:
        """Figures of one text, and the line's context."""
        generating = times.last - (times.first or 0.0)
        figures: dict[str, float] = {
            "PromptTokens": end.prompt_tokens,
            "CompletionTokens": end.completion_tokens,
            "TimeToFirstToken": round((times.first or times.last) * 1000, 1),
        }
        if end.completion_tokens > 1 and generating > 0:
            figures["TokensPerSecond"] = round((end.completion_tokens - 1) / generating, 1)
        context = {
            "model": self.loaded.name,
            "version": self.loaded.version.version,
            "cached_tokens": end.cached_tokens,
            "ended": end.cause,
            "request_id": self._request.id,
        }
        metrics.event("text", figures, {"service": "generate"}, context)
