"""Which parts of a prompt an answer depends on: how much its log-probability falls when each is left out.

The answer is the caller's, or the model's own, its likeliest tokens. Parts are words and signs, or sentences where
there are more than MOST words; what a chat template adds is none of them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from shared import deadline
from shared.errors import BadInput, OutOfTime, TooLarge
from shared.serving.explain import MOST_TOKENS, Options
from shared.serving.explain.texts import WORD
from shared.serving.generation.engine import Ask, Engine, Score
from shared.serving.generation.loop import RESERVE, Piece

# a point within a number or a word ends none
SENTENCE = re.compile(r"\S(?:[^.!?。！？\n]|[.!?](?=[^\s.!?)\]\"'”’»]))*[.!?。！？]*[)\]\"'”’»]*")
WORD_BEGINS = re.compile(r"\w")
MOST = 64  # parts: each is a prompt that the model reads
DIGITS = 4  # of log-probabilities: what was read before in which blocks moves the sixth
LONGEST = 1024  # tokens of the prompt
Prompt = Callable[[list[str]], list[int]]  # the texts of a call → the tokens that the model is given


class Part(Struct, frozen=True):
    """A stretch of one of a call's texts, as [start, end). place: which of them."""

    place: int
    start: int
    end: int


def explain(
    engine: Engine, texts: list[str], prompt: Prompt, options: Options, owner: str
) -> tuple[dict[str, Any], int]:
    """The explanation, of which each part has its text's place as `message`; and how many tokens were read.

    owner: whose prompts may be remembered. Raises BadInput, TooLarge, OutOfTime.
    """
    parts = parts_of(texts)
    whole = _checked(prompt(texts))
    others = [_checked(prompt(without(texts, part))) for part in parts]
    answer = _answer(engine, whole, options, owner)
    with engine.scoring(owner) as score:
        base, read = score(whole, answer)
        scores, more = _scores(score, others, answer)
    generated = len(whole) + len(answer) if options.target is None else 0
    attributions = [_attribution(texts, part, base - other) for part, other in zip(parts, scores, strict=True)]
    _, text = engine.texts.decode(answer)
    heading = {"answer": text, "answer_tokens": len(answer), "score": round(base, DIGITS), "method": "leave-one-out"}
    return heading | {"attributions": attributions}, read + more + generated


def parts_of(texts: list[str]) -> list[Part]:
    """Words and signs; sentences, where there are more than MOST of those. Raises BadInput, TooLarge."""
    counts = []
    for pattern in (WORD, SENTENCE):
        counts.append(sum(1 for text in texts for _ in pattern.finditer(text)))
        if counts[-1] <= MOST:
            break
    else:
        raise TooLarge(
            f"the text has {counts[0]:,} words and {counts[1]:,} sentences, and up to {MOST} parts are left out, one "
            "at a time: send a shorter text"
        )
    if not counts[-1]:
        raise BadInput("the text has no words: send some")
    return [Part(place, *match.span()) for place, text in enumerate(texts) for match in pattern.finditer(text)]


def without(texts: list[str], part: Part) -> list[str]:
    """The texts less a part, and less the space before it: models know a word by the one space that it has. Of what a
    text begins with, the space behind it.
    """
    text = texts[part.place]
    before, behind = text[: part.start], text[part.end :]
    if not before.strip():
        left = behind.lstrip()
    else:  # unless that would make one word of two
        left = (before if WORD_BEGINS.match(behind) else before.rstrip()) + behind
    return [*texts[: part.place], left, *texts[part.place + 1 :]]


def _attribution(texts: list[str], part: Part, fall: float) -> dict[str, Any]:
    place = {"message": part.place, "start": part.start, "end": part.end}
    return {"text": texts[part.place][part.start : part.end], **place, "attribution": round(fall, DIGITS)}


def _checked(prompt: list[int]) -> list[int]:
    if not prompt:
        raise BadInput("without its only part, nothing of the text is left for the model to read: send a longer one")
    if len(prompt) > LONGEST:
        raise TooLarge(
            f"the prompt has {len(prompt):,} tokens, and those of up to {LONGEST:,} are explained: send a shorter text"
        )
    return prompt


def _answer(engine: Engine, prompt: list[int], options: Options, owner: str) -> list[int]:
    """The tokens to explain: without the one that ends a text, which a caller cannot write."""
    if options.target is None:
        ask = Ask(max_tokens=options.max_tokens or MOST_TOKENS, temperature=0.0)
        turn = engine.generate(prompt, ask, owner)
        tokens = [piece.choice.token for piece in turn if isinstance(piece, Piece)]
        answer = tokens[:-1] if tokens[-1] in engine.after.ends else tokens
        if not answer:
            raise BadInput("the model's own answer is empty: say with `target` which one to explain")
        return answer
    answer = engine.texts.encode(options.target)
    if not answer:
        raise BadInput("`target` is empty: send the answer to explain, or none for the model's own")
    if len(answer) > MOST_TOKENS:
        raise TooLarge(
            f"`target` has {len(answer):,} tokens, and answers of up to {MOST_TOKENS} are explained: send its beginning"
        )
    if max(answer) >= engine.vocabulary:
        raise BadInput("`target` has a token that the model cannot give: its tokenizer knows more than the model does")
    return answer


def _scores(score: Score, prompts: list[list[int]], answer: list[int]) -> tuple[list[float], int]:
    """The answer's score behind each prompt, and how many tokens were read.

    From the last part to the first: the prompt before has what stands in front of both, so that it is read once.
    """
    scores: list[float] = []
    read, fastest = 0, float("inf")
    for prompt in reversed(prompts):
        _require_time(len(scores), len(prompts), fastest)
        started = time.monotonic()
        value, more = score(prompt, answer)
        fastest = min(fastest, time.monotonic() - started)
        scores.append(value)
        read += more
    return scores[::-1], read


def _require_time(done: int, count: int, fastest: float) -> None:
    """Raises OutOfTime where the rest cannot be done, even if each takes as little as the fastest: seconds."""
    left = deadline.remaining()
    if left is None or not done:
        return
    least = (count - done) * fastest
    if least > left - RESERVE:
        raise OutOfTime(
            f"{done} of {count} parts are done, and the others take {least:.1f} s at least; this call has "
            f"{max(left, 0):.1f} s left, of which {RESERVE:g} are for the answer: send a shorter text or `target`, or "
            "have the function given more memory, and so more of a processor"
        )
