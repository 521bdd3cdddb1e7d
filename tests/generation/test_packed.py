"""Several texts at once are what each is alone, however they begin and end; what cannot be is left to be alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.runtime import confined, reading
from shared.runtime.signature import Session
from shared.runtime.zygotes import Decoding
from shared.serving.generation import packed
from shared.serving.generation.loop import Conversation, End, Piece, Request, generate
from shared.serving.generation.packed import ROWS, Asked, Pack, Written
from shared.serving.generation.reader import Packing, SessionReader
from shared.serving.generation.sampling import Sampling
from tests.decoders.test_decoder import MODELS, NAMES
from tests.generation.test_reader import kill
from tests.generation.test_texts import decode

DECODING = Decoding(heads=2, width=16, limit=120)
GREEDY = Sampling(temperature=0)
REPEATING = Sampling(temperature=0, repetition_penalty=1.3)


def session(name: str = "llama-optimum") -> reading.Reading:
    return reading.load((MODELS / f"{name}.onnx").read_bytes(), {}, DECODING)


def behind_the_wall(name: str = "llama-optimum") -> confined.Confined:
    path = str(MODELS / f"{name}.onnx")
    return confined.load_decoder(path, {}, DECODING, threads=1, memory=512 << 20, filtered=True)


class Counting(SessionReader):
    """steps: how many rows each had. change: what becomes of a step's logits. before: is called before each step."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.steps: list[int] = []
        self.change: Callable[[np.ndarray], None] = lambda logits: None
        self.before: Callable[[], None] = lambda: None

    def step(self, tokens: Sequence[int]) -> np.ndarray:
        self.before()
        logits = super().step(tokens)
        self.steps.append(len(tokens))
        self.change(logits)
        return logits


def for_ever() -> float:
    return 1e9


def pack(reader: SessionReader, packing: Packing | None = None, remaining: Callable[[], float] = for_ever) -> Pack:
    return Pack(Conversation(reader), reader, packing or reader.packing(), decode, remaining)


def together(reader: SessionReader, requests: Sequence[Request], **options: Any) -> list[Written | None]:
    return pack(reader, **options).write([Asked(request, str(number)) for number, request in enumerate(requests)])


def alone(reader: SessionReader, request: Request) -> tuple[str, End]:
    *pieces, end = generate(Conversation(reader), request, decode, for_ever)
    assert isinstance(end, End)
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), end


def are_those_alone(reader: SessionReader, requests: Sequence[Request], written: Sequence[Written | None]) -> None:
    for request, one in zip(requests, written, strict=True):
        assert one is not None
        assert (one.text, one.end) == alone(reader, request)
        assert one.ns > 0


def request(length: int, max_tokens: int = 12, first: int = 5, **options: Any) -> Request:
    prompt = [(first + 7 * place) % 96 for place in range(length)]
    return Request(prompt=prompt, max_tokens=max_tokens, **{"sampling": GREEDY, **options})


# in FP16 a row's logits are those alone but for roundings (test_rows.py), which may move a choice between two near ones
@pytest.fixture(scope="module", params=[name for name in NAMES if name != "llama-genai-fp16"])
def reader(request: pytest.FixtureRequest) -> SessionReader:
    return SessionReader(session(request.param))


REQUESTS = st.builds(
    Request,
    prompt=st.lists(st.integers(0, 95), min_size=1, max_size=40),
    max_tokens=st.integers(1, 30),
    sampling=st.one_of(
        st.sampled_from([GREEDY, REPEATING]),
        st.builds(Sampling, temperature=st.just(1.0), top_k=st.sampled_from([0, 20]), seed=st.integers(0, 99)),
    ),
    ends=st.frozensets(st.integers(0, 95), max_size=6),
    stops=st.lists(st.text("abcXYZ012", min_size=1, max_size=1), max_size=2, unique=True).map(tuple),
)


@settings(max_examples=20, deadline=None)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=12))
def test_texts_are_those_of_each_alone(reader: SessionReader, requests: list[Request]) -> None:
    are_those_alone(reader, requests, together(reader, requests))


def test_unlike_prompts_ends_stops_and_seeds_all_behind_the_wall() -> None:
    reader = SessionReader(behind_the_wall())
    requests = [
        request(40),
        request(1, 30),
        request(9, sampling=Sampling(temperature=1.0, seed=3)),
        request(9, sampling=Sampling(temperature=1.0, seed=4)),
        request(5, 1),
    ]
    text, _ = alone(reader, request(17, 20))
    requests.append(request(17, 20, stops=(text[6:8],)))
    written = together(reader, requests)
    are_those_alone(reader, requests, written)
    assert [one.end.cause for one in written if one] == [*["max_tokens"] * 5, "stop"]
    assert written[2] != written[3], "each has random numbers of its own"


def test_a_text_that_ends_makes_room_for_the_next_one() -> None:
    reader = Counting(session())
    requests = [request(3 + number, 4 if number % 2 else 20, first=number) for number in range(20)]
    are_those_alone(reader, requests, together(reader, requests))
    tokens = sum(one.max_tokens - 1 for one in requests)  # the first one of each comes from its prompt
    assert sum(reader.steps) == tokens and max(reader.steps) == ROWS
    assert len(reader.steps) <= tokens / ROWS + 20, "only the last texts are on their own"


def test_rows_that_are_left_of_an_earlier_call_are_forgotten() -> None:
    reader = Counting(session())

    def interrupt() -> None:
        if len(reader.steps) == 2:
            raise KeyboardInterrupt

    reader.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        together(reader, [request(4), request(5)])
    reader.before = lambda: None
    are_those_alone(reader, [request(6), request(3)], together(reader, [request(6), request(3)]))


def test_a_bad_one_is_left_and_the_others_go_on() -> None:
    reader = SessionReader(session())
    good = [request(8), request(20), request(3)]
    no_token, empty, long = Request(prompt=[96], max_tokens=3), Request(prompt=[], max_tokens=3), request(119)
    first, *bad, second, third = together(reader, [good[0], no_token, empty, long, *good[1:]])
    assert bad == [None] * 3
    are_those_alone(reader, good, [first, second, third])


def test_logits_that_are_no_numbers_are_of_their_text_alone() -> None:
    reader = Counting(session())

    def spoil(logits: np.ndarray) -> None:
        if len(reader.steps) == 4:
            logits[1] = np.nan

    reader.change = spoil
    first, spoiled, third = together(reader, [request(8), request(9), request(10)])
    assert spoiled is None
    are_those_alone(reader, [request(8), request(10)], [first, third])


def test_a_text_longer_than_a_row_is_left() -> None:
    reader = SessionReader(session())
    long, short = request(10, 100), request(10, 5)
    packing = Packing(tokens=10_000, longest=80)
    none, one = together(reader, [long, short], packing=packing)
    assert none is None
    are_those_alone(reader, [short], [one])
    assert together(reader, [request(30, 5)], packing=packing) == [None], "a row has to have some room for an answer"


def test_rows_that_grow_beyond_the_memory_give_way_and_begin_anew() -> None:
    reader = Counting(session())
    requests = [request(4 + number, 60, first=number) for number in range(6)]
    packing = Packing(tokens=3 * 70, longest=100)
    are_those_alone(reader, requests, together(reader, requests, packing=packing))
    assert 1 in reader.steps and 3 in reader.steps and max(reader.steps) == 3


def test_when_the_time_is_over_texts_are_cut_and_none_begins() -> None:
    reader = Counting(session())
    requests = [request(4, 90), request(5, 6), *(request(6, 50) for _ in range(10))]
    written = together(reader, requests, remaining=lambda: 30.0 - len(reader.steps))
    first, second, *others = written
    assert first is not None and first.end.cause == "deadline" and 20 < first.end.completion_tokens < 32
    assert second is not None and second.end.cause == "max_tokens"
    assert [one is None for one in others].count(True) == 3, "12 texts, of which 8 began, and one more at an end"
    assert reader.steps[-1] == ROWS


def test_a_process_that_dies_takes_what_is_not_at_its_end() -> None:
    session = behind_the_wall()
    reader = Counting(session)

    def before() -> None:
        if len(reader.steps) == 9:
            reader.before = lambda: None
            kill(session)

    requests = [request(8, 40), request(9, 5), request(10, 40)]
    packing = reader.packing()
    reader.before = before
    subject = pack(reader, packing)
    written = subject.write([Asked(one, str(number)) for number, one in enumerate(requests)])
    assert [one is None for one in written] == [True, False, True] and subject.failed
    are_those_alone(reader, [requests[1]], [written[1]])
    are_those_alone(reader, requests, together(reader, requests, packing=packing))


def test_no_text_begins_without_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Counting(session())
    written = together(reader, [request(4), request(5), request(6)], remaining=lambda: packed.BEGINNING - 1)
    assert [one is None for one in written] == [False, True, True]
    assert together(reader, [request(4)], remaining=lambda: 1.0) == [None]
