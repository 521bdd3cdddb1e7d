"""Sound files → samples of one channel: the one place that opens them, of serving and of training.

A file is read block by block to its end: how long it is, is what was decoded. Samples that are no numbers are refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from shared import budget
from shared.errors import BadInput, TooLarge, Unsupported
from shared.serving.inputs import sound_headers

MAX_SAMPLES = 30_000_000  # of all channels together: ten minutes of one at 48 kHz
BLOCK = 1 << 18  # samples of all channels that are decoded at a time
LEAST = 4096  # frames of a block
SAMPLE = 4  # bytes of one
INCOMPLETE, NO_RATE = 24, "its header says no rate that a sound can have"  # libsndfile's number of an error


def read(body: bytes, sample_rate: int) -> tuple[np.ndarray, int]:
    """The mean of all channels, FP32, and its rate in Hz. sample_rate: that it will be brought to.

    Raises BadInput, TooLarge, Unsupported.
    """
    if not body:
        raise BadInput("the body is empty: send the sound's bytes, as in curl --data-binary @sound.wav")
    said = sound_headers.frames_said(body)
    parts: list[np.ndarray] = []
    with _told(body):
        count, rate = 0, 0
        for block, rate in _blocks(sound_headers.mended(body)):
            _check_size(count + len(block), block.shape[1], rate, sample_rate)
            _require_numbers(block, count, rate)
            budget.take(2 * SAMPLE * len(block), f"the sound of {count + len(block):,} samples or more")
            count += len(block)
            with np.errstate(over="ignore"):  # which `decode` looks for
                parts.append(block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))
    if said and count < said < 2**36 - 1:
        raise BadInput(f"the sound ends after {count:,} samples, and its header says {said:,}: send the whole file")
    samples = np.concatenate(parts) if len(parts) != 1 else parts[0]
    return samples, rate


def _blocks(body: bytes) -> Iterator[tuple[np.ndarray, int]]:
    """Samples of each channel, [frames, channels], with their rate; one empty block of a file without any."""
    import soundfile

    class Streamed(soundfile.SoundFile):  # type: ignore[misc]  # the library has no types
        """Which goes nowhere: the library would look up its place in the file beside each block."""

        def seekable(self) -> bool:
            return False

    with Streamed(io.BytesIO(body)) as file:
        most = max(LEAST, BLOCK // file.channels)
        room = np.empty((min(most, max(file.frames, LEAST)), file.channels), np.float32)
        budget.take(room.nbytes, f"a sound of {file.channels:,} channels")
        some = False
        while len(block := file.read(out=room)) or not some:
            some = True
            yield block, file.samplerate
            if len(block) < len(room):
                return


@contextmanager
def _told(body: bytes) -> Iterator[None]:
    """The library's errors as BadInput, or Unsupported for a file of another kind."""
    import soundfile

    try:
        yield
    except (soundfile.SoundFileError, TypeError, ValueError, RuntimeError, OSError) as error:
        kind = sound_headers.kind_of(body)
        if kind:
            raise Unsupported(
                f"the body is a file of the kind {kind}, which is not read here: save it as WAV, FLAC, OGG or MP3"
            ) from error
        code = getattr(error, "code", None)
        reason = NO_RATE if code == INCOMPLETE else str(getattr(error, "error_string", "")).strip(" .")
        raise BadInput(
            f"the body is no sound that can be read{f' ({reason})' if reason else ''}: send a whole WAV, FLAC, OGG or "
            "MP3 file"
        ) from error


def _check_size(frames: int, channels: int, rate: int, sample_rate: int) -> None:
    if frames * channels > MAX_SAMPLES:
        raise TooLarge(f"the sound has {frames:,} samples or more, more than one call can take; send a part of it")
    if frames * sample_rate > MAX_SAMPLES * rate:
        raise TooLarge(
            f"the sound has {frames:,} samples or more at {rate:,} Hz, which are too many at the model's "
            f"{sample_rate:,} Hz; send a part of it"
        )


def _require_numbers(block: np.ndarray, before: int, rate: int) -> None:
    """Raises BadInput for NaN and infinities. before: samples of each channel in front of the block."""
    good = np.isfinite(block)
    if good.all():
        return
    frame, channel = (int(place) for place in np.argwhere(~good)[0])
    value, number = block[frame, channel], before + frame
    raise BadInput(
        f"the sound's sample {number:,} ({number / rate:.3f} s), channel {channel + 1}, is {value}, no number within "
        "FP32: export the sound again, in whole numbers (PCM) of 16 or 24 bits"
    )
