"""A loaded model that makes text of speech, as calls use it: bytes of a sound in, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared import deadline
from shared.errors import OutOfTime, Unavailable
from shared.package.speech import Speech, Transcription
from shared.runtime.zygotes import Cutting
from shared.serving.generation.reader import Texts
from shared.serving.inputs import log_mel, sounds
from shared.serving.loaded import Loaded
from shared.serving.speech.ears import Ears
from shared.serving.speech.transcribe import Ask, Text, Transcriber
from shared.serving.wall import resident

ENGINE = "engine of speech"  # of a loaded model's parts, which have no spaces
UNHURRIED = 3600.0  # seconds, where a call has no deadline


class Engine:
    """Of one loaded version. Calls take turns: caches are of one window."""

    def __init__(self, loaded: Loaded) -> None:
        """Raises Unavailable, Unloadable."""
        before, after = loaded.manifest.preprocess, loaded.manifest.postprocess
        assert isinstance(before, Speech) and isinstance(after, Transcription), "others are refused before"
        digest = loaded.version.files.get(before.tokenizer)
        if digest is None or loaded.read is None:
            raise Unavailable(f"version {loaded.version.version} of {loaded.name!r} came without {before.tokenizer}")
        self._session = loaded.open_tokenizer(loaded.version, loaded.read(digest), Cutting(plain=True))
        self._texts = Texts(self._session)
        ears = Ears(loaded.session)
        self._transcriber = Transcriber(ears, after, self._decode, mels=before.mels, seconds=before.seconds)
        self._lock = threading.Lock()

    @property
    def resident(self) -> int:
        """Bytes of memory of the tokenizer's process."""
        return resident(self._session)

    def prompt(self, text: str) -> tuple[int, ...]:
        """The tokens of a text that is to come before. Raises BadInput."""
        stripped = text.strip()
        return tuple(self._texts.encode(f" {stripped}")) if stripped else ()

    def transcribe(self, sound: bytes, ask: Ask) -> Text:
        """The text of a file (WAV, FLAC, OGG, MP3). Raises BadInput, TooLarge, OutOfTime."""
        remaining = _remaining()
        samples = sounds.decode(sound, log_mel.SAMPLE_RATE)
        if not self._lock.acquire(timeout=max(0.0, min(remaining(), UNHURRIED))):
            raise OutOfTime("other calls of this model took all the time that there was: try again")
        try:
            return self._transcriber.transcribe(samples, ask, remaining)
        finally:
            self._lock.release()

    def _decode(self, tokens: list[int]) -> str:
        return self._texts.decode(tokens)[1] if tokens else ""


def _remaining() -> Callable[[], float]:
    """Seconds until the deadline of the present call."""
    left = deadline.remaining()
    end = time.monotonic() + (UNHURRIED if left is None else left)
    return lambda: end - time.monotonic()


def of(loaded: Loaded) -> Engine:
    """The engine of a loaded version, made once for as long as it is loaded. Raises Unavailable."""
    engine: Engine | None = loaded.parts.get(ENGINE)
    if engine is None:
        engine = loaded.parts[ENGINE] = Engine(loaded)
    return engine
