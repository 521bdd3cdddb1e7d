"""From a prompt to its end: what is read, what comes, and why it ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from shared.errors import BadInput, OutOfTime, TooLarge
from shared.serving.generation.loop import Conversation, End, Forgotten, Piece, Request, generate
from shared.serving.generation.sampling import Sampling
from tests.generation.test_texts import decode, tokens_of

END = 255 - 1  # a token that ends the text, of the bytes' tokenizer
VOCABULARY = 256


class Parrot:
    """Says its text after any prompt: the token behind what of it has been read last. blocks: that were read."""

    def __init__(self, text: str, limit: int | None = 1000, block: int = 256) -> None:
        self._answer = [*tokens_of(text), END]
        self._read: list[int] = []
        self.limit, self.block, self.failing, self.is_another = limit, block, False, False
        self.blocks: list[list[int]] = []

    @property
    def length(self) -> int:
        return len(self._read)

    def extend(self, tokens: Sequence[int]) -> np.ndarray:
        if self.failing:
            raise BadInput("not this one")
        if self.is_another:
            self._read, self.is_another = [], False
            raise Forgotten
        self.blocks.append(list(tokens))
        self._read += tokens
        said = next(
            count
            for count in range(len(self._answer) - 1, -1, -1)
            if self._read[-count or len(self._read) :] == self._answer[:count]
        )
        logits = np.zeros(VOCABULARY, np.float32)
        logits[self._answer[said]] = 1
        return logits

    def rewind(self, length: int) -> None:
        assert length <= self.length
        self._read = self._read[:length]


def for_ever() -> float:
    return 1e9


def said(parrot: Parrot, prompt: str = "abc", **options: object) -> tuple[str, End, list[Piece]]:
    settings = {"max_tokens": 100, "ends": frozenset({END}), "sampling": Sampling(temperature=0)} | options
    request = Request(prompt=tokens_of(prompt), **settings)
    *pieces, end = generate(Conversation(parrot), request, decode, for_ever)
    assert isinstance(end, End)
    return "".join(piece.text for piece in pieces), end, pieces


def test_it_ends_with_the_end_token_which_is_no_text() -> None:
    text, end, pieces = said(Parrot("héllo 😀"))
    assert text == "héllo 😀"
    assert (end.reason, end.cause) == ("stop", "end")
    assert (end.prompt_tokens, end.completion_tokens) == (3, len(tokens_of("héllo 😀")) + 1)
    assert [piece.choice.token for piece in pieces] == [*tokens_of("héllo 😀"), END]


def test_a_stop_string_across_tokens() -> None:
    text, end, pieces = said(Parrot("one, two, three"), stops=(", t",))
    assert (text, end.reason, end.cause) == ("one", "stop", "stop")
    assert [piece.text for piece in pieces] == ["o", "n", "e", "", "", ""]


def test_as_many_tokens_as_were_asked_for() -> None:
    assert said(Parrot("a😀b"), max_tokens=3)[0] == "a", "half a character is not given out"
    text, end, _ = said(Parrot("hello"), max_tokens=2)
    assert (text, end.reason, end.cause, end.completion_tokens) == ("he", "length", "max_tokens", 2)
    assert said(Parrot("hello"), max_tokens=2, stops=("elephant",))[0] == "he", "what was held back comes"


def test_as_many_tokens_as_the_model_can_have() -> None:
    text, end, _ = said(Parrot("hello", limit=5))
    assert (text, end.cause) == ("he", "context")
    with pytest.raises(TooLarge, match="the prompt has 3 tokens, and the model can have 3"):
        said(Parrot("hello", limit=3))


def test_a_prompt_of_one_token_and_of_none() -> None:
    assert said(Parrot("hello"), "a")[0] == "hello"
    with pytest.raises(BadInput, match="no tokens"):
        said(Parrot("hello"), "")


def test_the_text_ends_before_the_call_does() -> None:
    left = iter([20.0, 20.0, 10.0, 2.1, 1.9])
    parrot = Parrot("hello")
    request = Request(prompt=tokens_of("abc"), max_tokens=100, sampling=Sampling(temperature=0))
    *pieces, end = generate(Conversation(parrot), request, decode, lambda: next(left))
    assert (end.reason, end.cause) == ("length", "deadline")
    assert "".join(piece.text for piece in pieces) == "hell"


def test_a_prompt_is_read_in_blocks_as_far_as_there_is_time() -> None:
    left = iter([20.0, 20.0, 1.0])
    parrot = Parrot("hello", block=2)
    with pytest.raises(OutOfTime, match="4 of the prompt's 5 tokens"):
        generate(Conversation(parrot), Request(prompt=tokens_of("abcde"), max_tokens=1), decode, lambda: next(left))
    assert [len(block) for block in parrot.blocks] == [2, 2]


def test_errors_of_the_prompt_come_at_once_and_not_with_the_first_piece() -> None:
    parrot = Parrot("hello")
    parrot.failing = True
    with pytest.raises(BadInput, match="not this one"):
        generate(Conversation(parrot), Request(prompt=[1], max_tokens=1), decode, for_ever)


def test_what_a_prompt_has_in_common_with_the_one_before_is_read_once() -> None:
    parrot = Parrot("yes")
    conversation = Conversation(parrot)

    def ask(prompt: str, owner: str) -> End:
        request = Request(
            prompt=tokens_of(prompt), max_tokens=10, ends=frozenset({END}), sampling=Sampling(temperature=0)
        )
        *pieces, end = generate(conversation, request, decode, for_ever, owner=owner)
        assert "".join(piece.text for piece in pieces) == "yes"
        assert isinstance(end, End)
        return end

    assert ask("a question", "ann").cached_tokens == 0
    assert ask("a questionyes and more", "ann").cached_tokens == len("a questionyes")
    assert tokens_of(" and more") in parrot.blocks
    assert ask("a question", "ann").cached_tokens == len("a question") - 1, "the last token is read for its logits"
    assert ask("a question", "bob").cached_tokens == 0, "another's prompts are nobody's business"
    parrot.is_another = True  # a new process, which knows nothing
    ask("a question", "bob")
    assert parrot.blocks[-4] == tokens_of("a question"), "all of it is read again, and then the answer's tokens"


def test_a_reader_that_leaves_and_one_that_fails_leave_nothing_half_read() -> None:
    parrot = Parrot("hello there")
    conversation = Conversation(parrot)
    request = Request(prompt=tokens_of("abc"), max_tokens=100, sampling=Sampling(temperature=0))
    pieces = generate(conversation, request, decode, for_ever, owner="ann")
    next(pieces)
    pieces.close()
    parrot.failing = True
    with pytest.raises(BadInput):
        generate(conversation, request, decode, for_ever, owner="ann")
    parrot.failing = False
    *_, end = generate(conversation, request, decode, for_ever, owner="ann")
    assert end.cached_tokens == 0


class Alternating:
    """A grammar: a, b, a, b … and then the end."""

    def __init__(self, length: int) -> None:
        self._left, self.accepted = length, list[int]()

    def allowed(self) -> np.ndarray:
        mask = np.zeros(VOCABULARY, bool)
        mask[END if not self._left else tokens_of("ab")[len(self.accepted) % 2]] = True
        return mask

    def accept(self, token: int) -> None:
        self._left -= 1
        self.accepted.append(token)


def test_a_grammar_says_which_tokens_may_come() -> None:
    guide = Alternating(5)
    request = Request(prompt=tokens_of("abc"), max_tokens=100, ends=frozenset({END}), sampling=Sampling(seed=1))
    *pieces, end = generate(Conversation(Parrot("hello")), request, decode, for_ever, guide=guide)
    assert "".join(piece.text for piece in pieces) == "ababa"
    assert end.cause == "end"
