"""A loaded model that generates text, as calls use it: prompts of chats and texts, grammars, one text at a time."""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shared import deadline
from shared.errors import BadInput, OutOfTime, Unavailable
from shared.package.generation import Generation, Prompt
from shared.runtime.zygotes import Cutting
from shared.serving.generation import loop
from shared.serving.generation.loop import Conversation, End, Piece
from shared.serving.generation.packed import Asked, Pack, Written
from shared.serving.generation.reader import Packing, SessionReader, Texts
from shared.serving.generation.sampling import Sampling
from shared.serving.loaded import Loaded
from shared.serving.wall import resident

ENGINE = "engine of texts"  # of a loaded model's parts, which have no spaces
_making = threading.Lock()
# tokens of a prompt and of an answer to it → the answer's log-probability, and how many tokens were read
Score = Callable[[list[int], list[int]], tuple[float, int]]
MOST_FAILURES = 2  # of several texts at once, until a process has them one by one
UNHURRIED = 3600.0  # seconds, where a call has no deadline


class Ask(Struct, frozen=True, kw_only=True):
    """What a call asks for. None: as the package says. grammar: kind and text of what the answer is to be of; see
    grammars.Grammar.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logprobs: int | None = None
    stop: tuple[str, ...] = ()
    grammar: tuple[str, str] | None = None


class Engine:
    """Of one loaded version. Calls take turns: caches are of one text. vocabulary: of the model, in tokens."""

    def __init__(self, loaded: Loaded) -> None:
        """Raises Unavailable, Unloadable."""
        before, after = loaded.manifest.preprocess, loaded.manifest.postprocess or Generation()
        assert isinstance(before, Prompt) and isinstance(after, Generation), "others are refused when they are loaded"
        self.before, self.after = before, after
        self._session = loaded.open_tokenizer(loaded.version, _read(loaded, before.tokenizer), Cutting(plain=True))
        self.texts = Texts(self._session)
        self.template = _read(loaded, before.template).decode() if before.template else None
        self._reader = SessionReader(loaded.session)
        self.vocabulary = self._reader.vocabulary
        self._conversation = Conversation(self._reader)
        self._lock = threading.Lock()
        self._packing: Packing | None = None
        self._failures = 0  # of texts at once

    @property
    def resident(self) -> int:
        """Bytes of memory of the tokenizer's process."""
        return resident(self._session)

    def chat(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> list[int]:
        """The tokens of messages, with the beginning of an answer. Raises BadInput."""
        if self.template is None:
            raise BadInput("this model was pushed without a chat template: send a text to /v1/completions")
        variables: dict[str, Any] = dict(self.before.special) | ({"tools": tools} if tools else {})
        return self.texts.chat(self.template, messages, variables)

    def generate(self, prompt: list[int], ask: Ask, owner: str) -> Turn:
        """Reads the prompt; then pieces of text, as they come, and an End. owner: whose prompts may be remembered.

        Raises BadInput, TooLarge, OutOfTime; what is raised later comes out of the iterator.
        """
        remaining = self._acquired()
        try:
            request = self._request(prompt, ask)
            guide = self._guide(ask)
            pieces = loop.generate(self._conversation, request, self.texts.decode, remaining, owner=owner, guide=guide)
        except BaseException:
            self._lock.release()
            raise
        return Turn(pieces, self._lock.release)

    @contextmanager
    def scoring(self, owner: str) -> Iterator[Score]:
        """What gives answers their log-probabilities, with the engine held: what prompts have in common is read once.

        Raises OutOfTime; what is given raises what loop.score does.
        """
        remaining = self._acquired()
        try:
            yield lambda prompt, answer: loop.score(self._conversation, prompt, answer, remaining, owner=owner)
        finally:
            self._lock.release()

    def generate_together(self, asks: Sequence[tuple[list[int], Ask]]) -> list[Written | None]:
        """Whole texts behind prompts, several at once, without grammars. See packed.Pack.

        None: this one has to be asked for alone. Raises Unavailable, Crashed, OutOfTime.
        """
        remaining = self._acquired()
        try:
            if self._packing is None:
                self._packing = self._reader.packing()
            if not self._packing.longest or self._failures >= MOST_FAILURES:
                return [None] * len(asks)
            pack = Pack(self._conversation, self._reader, self._packing, self.texts.decode, remaining)
            # nobody's prompt is remembered for another's
            written = pack.write([Asked(self._request(*ask), os.urandom(8).hex()) for ask in asks])
            self._failures += pack.failed
            return written
        finally:
            self._lock.release()

    def _acquired(self) -> Callable[[], float]:
        """Waits for its turn. Returns what tells the seconds that are left. Raises OutOfTime."""
        remaining = _remaining()
        if not self._lock.acquire(timeout=max(0.0, min(remaining(), UNHURRIED))):
            raise OutOfTime("other calls of this model took all the time that there was: try again")
        return remaining

    def _request(self, prompt: list[int], ask: Ask) -> loop.Request:
        after = self.after
        sampling = Sampling(
            temperature=_given(ask.temperature, after.temperature),
            top_k=_given(ask.top_k, after.top_k),
            top_p=_given(ask.top_p, after.top_p),
            min_p=_given(ask.min_p, after.min_p),
            repetition_penalty=_given(ask.repetition_penalty, after.repetition_penalty),
            presence_penalty=ask.presence_penalty,
            frequency_penalty=ask.frequency_penalty,
            seed=ask.seed,
            logprobs=ask.logprobs,
        )
        most = min(_given(ask.max_tokens, after.max_tokens), after.max_tokens)
        stops = tuple(dict.fromkeys((*ask.stop, *after.stop)))
        return loop.Request(prompt=prompt, max_tokens=most, sampling=sampling, ends=frozenset(after.ends), stops=stops)

    def _guide(self, ask: Ask) -> Guide | None:
        if ask.grammar is None:
            return None
        if not self.after.ends:
            raise BadInput("this model has no token that ends a text, which a grammar needs: push it with `ends`")
        kind, text = ask.grammar
        described = {"kind": kind, "text": text, "vocabulary": self.vocabulary, "ends": self.after.ends}
        return Guide(self.texts, msgspec.json.encode(described).decode())


class Turn:
    """A text's pieces, with the engine held until they are over, whoever forgets them: a generator that was never
    begun has no `finally`.
    """

    def __init__(self, pieces: Iterator[Piece | End], over: Callable[[], None]) -> None:
        self._pieces, self._over = pieces, weakref.finalize(self, over)

    def __iter__(self) -> Iterator[Piece | End]:
        return self

    def __next__(self) -> Piece | End:
        try:
            return next(self._pieces)
        except BaseException:  # the end among them
            self._over()
            raise

    def close(self) -> None:
        self._over()


def _read(loaded: Loaded, name: str) -> bytes:
    digest = loaded.version.files.get(name)
    if digest is None or loaded.read is None:
        raise Unavailable(f"version {loaded.version.version} of {loaded.name!r} came without {name}: push it again")
    return loaded.read(digest)


def _given(asked: Any, otherwise: Any) -> Any:
    return otherwise if asked is None else asked


def _remaining() -> Callable[[], float]:
    """Seconds until the deadline of the present call, also when the answer is made outside of its handler."""
    left = deadline.remaining()
    end = time.monotonic() + (UNHURRIED if left is None else left)
    return lambda: end - time.monotonic()


class Guide:
    """As loop.Guide: a grammar, asked for each token."""

    def __init__(self, texts: Texts, grammar: str) -> None:
        """Raises BadInput for a grammar that no text can be of."""
        self._texts, self._grammar = texts, grammar
        self._chosen: list[int] = []
        self._allowed = texts.mask(grammar, self._chosen)

    def allowed(self) -> np.ndarray:
        return self._allowed

    def accept(self, token: int) -> None:
        self._chosen.append(token)
        self._allowed = self._texts.mask(self._grammar, self._chosen)


def of(loaded: Loaded) -> Engine:
    """The engine of a loaded version, made once for as long as it is loaded. Raises Unavailable."""
    with _making:  # two of them would mix their texts in one session
        engine: Engine | None = loaded.parts.get(ENGINE)
        if engine is None:
            engine = loaded.parts[ENGINE] = Engine(loaded)
        return engine


def json_grammar(schema: Any) -> tuple[str, str]:
    """Of texts that are JSON by a schema."""
    return "json", json.dumps(schema)
