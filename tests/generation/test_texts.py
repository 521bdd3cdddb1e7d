"""Text of tokens: never half a character, and nothing of a stop string."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from shared.serving.generation.texts import REPLACED, Decode, StopStrings, TextStream


@cache
def bytes_tokenizer() -> Tokenizer:
    """A token for each byte, as the smallest parts of GPT's vocabulary; numbers are those of the bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@cache
def words_tokenizer() -> Tokenizer:
    """Words with a mark for the space before, which is dropped at the beginning of a text: as SentencePiece."""
    words = ["▁the", "▁sea", "s", "▁", "."]
    tokenizer = Tokenizer(models.Unigram([(word, -1.0) for word in words], 0))
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def decode(tokens: list[int], known: int = 0) -> tuple[str, str]:
    return decoded_by(bytes_tokenizer())(tokens, known)


def decoded_by(tokenizer: Tokenizer) -> Decode:
    return lambda tokens, known: (str(tokenizer.decode(tokens[:known])), str(tokenizer.decode(tokens)))


def streamed(tokens: list[int], whole: bool = False) -> list[str]:
    stream = TextStream(decode)
    return [stream.push(token) for token in tokens] + [stream.rest()] * whole


def tokens_of(text: str) -> list[int]:
    return list(bytes_tokenizer().encode(text).ids)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("naïve 😀 👩‍👩‍👧 漢字")
@example(f"a{REPLACED}b{REPLACED}")
@example("e\u0301")
def test_pieces_are_the_text_and_none_is_half_a_character(text: str) -> None:
    pieces = streamed(tokens_of(text), whole=True)
    assert "".join(pieces) == text
    if REPLACED not in text:
        assert not any(REPLACED in piece for piece in pieces)


def test_a_character_comes_with_its_last_byte_and_not_at_all_without_it() -> None:
    assert streamed(tokens_of("a😀b")) == ["a", "", "", "", "😀", "b"]
    assert streamed(tokens_of("a😀")[:-1]) == ["a", "", "", ""]
    assert streamed(tokens_of("a😀")[:-1], whole=True)[-1] == REPLACED, "what the model itself has ended there"


@given(st.lists(st.integers(0, 255), max_size=40))
def test_bytes_that_are_no_text_do_not_hold_it_back_for_ever(tokens: list[int]) -> None:
    pieces = streamed(tokens + tokens_of("the end of it"))
    assert "".join(pieces).endswith("the end of it")


def test_a_first_word_keeps_the_space_that_it_has_behind_the_prompt() -> None:
    tokenizer = words_tokenizer()
    alone, behind = TextStream(decoded_by(tokenizer)), TextStream(decoded_by(tokenizer), [0])
    assert [alone.push(1), alone.push(2), alone.push(0)] == ["sea", "s", " the"]
    assert [behind.push(1), behind.push(2)] == [" sea", "s"]


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["He", "llo"], [], "Hello"),
        (["one\n", "\ntwo"], ["\n\n"], "one"),
        (["one\n", "two"], ["\n\n"], "one\ntwo"),
        (["aa", "ab"], ["aab"], "a"),
        (["a", "a", "a", "b"], ["aab"], "a"),
        (["xENDy"], ["END"], "x"),
        (["x E", "N", "D"], ["END", "EN"], "x "),
        (["abc"], ["bc", "abc"], ""),  # the one that begins first
        (["STO"], ["STOP"], "STO"),
    ],
)
def test_a_stop_string_ends_the_text_and_is_none_of_it(pieces: list[str], stops: list[str], expected: str) -> None:
    held = StopStrings(stops)
    given_ = ""
    for piece in pieces:
        given_ += held.push(piece)
        if held.stopped:
            break
    assert given_ + ("" if held.stopped else held.rest()) == expected


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.data())
def test_wherever_the_text_is_cut_it_ends_before_the_first_stop(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    held, given_, rest = StopStrings(stops), "", text
    while rest and not held.stopped:
        length = data.draw(st.integers(1, len(rest)))
        given_ += held.push(rest[:length])
        rest = rest[length:]
        assert not any(stop in given_ for stop in stops)
    if not held.stopped:
        given_ += held.rest()
    # what ends first ends it: of two that overlap, the one whose last character comes first
    ends = {(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text}
    assert held.stopped == bool(ends)
    assert text.startswith(given_)
    assert not any(stop in given_ for stop in stops)
    if not ends:
        assert given_ == text
