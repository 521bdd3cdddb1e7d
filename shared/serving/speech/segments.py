"""A window's tokens as segments with times, and where the next window begins.

As transformers' WhisperGenerationMixin._retrieve_segment, and OpenAI's whisper/transcribe.py: two times side by side
divide segments. What follows the last such pair is cut off in the middle, and is heard again by the next window.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

STEP = 2  # frames of a step between times, which are 20 ms apart


class Part(Struct, frozen=True):
    """start, end: in frames of the window. tokens: without times."""

    start: int
    end: int
    tokens: list[int]


def split(tokens: Sequence[int], first_time: int, frames: int) -> tuple[list[Part], int]:
    """The parts of a window's text, and the frame of the window where the next one begins.

    tokens: without the one that ends the text. frames: of the window that are sound, not silence behind it.
    """
    is_time = [token >= first_time for token in tokens]
    ends_by_one = is_time[-2:] == [False, True]
    cuts = [place + 1 for place in range(len(tokens) - 1) if is_time[place] and is_time[place + 1]]
    if not cuts:
        times = [token - first_time for token in tokens if token >= first_time]
        end = times[-1] * STEP if times and times[-1] else frames
        return [Part(0, end, [token for token in tokens if token < first_time])], frames
    if ends_by_one:
        cuts.append(len(tokens))
    parts, begin = [], 0
    for cut in cuts:
        part = tokens[begin:cut]
        start, end = (max(0, time - first_time) * STEP for time in (part[0], part[-1]))
        parts.append(Part(start, end, [token for token in part if token < first_time]))
        begin = cut
    last = parts[-1].end
    return parts, frames if ends_by_one else max(1, last)
