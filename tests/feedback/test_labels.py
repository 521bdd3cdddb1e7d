"""Ids of answers, and tables of labels: whatever arrives in whatever order, the last label of each item counts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.counts.times import DAY
from shared.errors import BadInput
from shared.feedback import answers, labels, stored
from shared.feedback.answers import Answer
from shared.feedback.labels import Given, Labels
from shared.storage.base import Store
from shared.storage.memory import MemoryStore


def answer(number: int = 0, *, minute: int = 29_000_000, version: int = 1, classes: list[int] | None = None) -> Answer:
    own = classes or [0]
    return Answer(version, "production", 2, minute, number.to_bytes(6, "big"), own, [19] * len(own))


answer_strategy = st.builds(
    Answer,
    st.integers(0, 2**40 - 1),
    st.sampled_from(["", "production", "a-b2"]),
    st.integers(0, 2**40 - 1),
    st.integers(0, 2**40 - 1),
    st.binary(min_size=6, max_size=6),
    st.lists(st.integers(-1, 2**31 - 1), min_size=1, max_size=256),
    st.just([]),
).map(lambda one: Answer(*[getattr(one, name) for name in one.__struct_fields__[:-1]], [3] * len(one.classes)))


@given(answer_strategy)
def test_an_id_is_what_it_says(one: Answer) -> None:
    text = answers.encode(one)
    assert answers.decode(text) == one
    assert len(text) <= answers.MOST_TEXT


@pytest.mark.parametrize(
    "text",
    ["", "x", "a" * 2000, "é", "\0", "####", "lwO", answers.encode(answer()) + "=", answers.encode(answer())[:-2]],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="answer_id"):
        answers.decode(text)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda body: body.decode("latin-1")))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        one = answers.decode(text)
    except BadInput:
        return
    assert answers.encode(one) == text


def test_items_without_as_many_scores_are_no_answer() -> None:
    text = answers.encode(Answer(1, "", 0, 5, b"123456", [1, 2], [3]))
    with pytest.raises(BadInput):
        answers.decode(text)


GIVEN = st.builds(
    Given,
    st.integers(0, 3).map(
        lambda number: answers.encode(answer(number, minute=29_000_000 + number // 2 * DAY, classes=[0, 1]))
    ),
    st.integers(0, 1),
    st.integers(0, 3),
    st.integers(0, 5),
    st.sampled_from(["a", "b"]),
)


def last_of_each(every: list[Given]) -> dict[str, int]:
    """By a plain search."""
    by_place: dict[str, list[Given]] = {}
    for one in every:
        by_place.setdefault(one.place, []).append(one)
    return {place: max(ones, key=lambda one: (one.at, one.post, one.label)).label for place, ones in by_place.items()}


@given(st.lists(GIVEN, max_size=12), st.randoms(use_true_random=False))
def test_tables_join_in_any_order_and_grouping(every: list[Given], chance: random.Random) -> None:
    expected = last_of_each(every)
    shuffled = [*every, *chance.sample(every, len(every) // 2)]
    chance.shuffle(shuffled)
    cut = chance.randrange(len(shuffled) + 1)
    first, second = labels.join(Labels(given=shuffled[:cut])), labels.join(Labels(given=shuffled[cut:]))
    joined = labels.join(first, second)
    assert {one.place: one.label for one in joined.given} == expected
    assert joined == labels.join(second, first) == labels.join(joined, first, second, joined)


def test_of_too_many_a_sample_is_kept_whatever_the_order_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST", 3)
    every = [Given(answers.encode(answer(number)), 0, 1, number, "a") for number in range(8)]
    whole = labels.join(Labels(given=every))
    assert (len(whole.given), whole.dropped) == (3, 5)
    by_parts = labels.join(*(Labels(given=[one]) for one in reversed(every)))
    assert labels.join(labels.join(Labels(given=every[4:])), Labels(given=every[:4])).given == whole.given
    assert by_parts.given == whole.given
    again = Given(whole.given[0].answer_id, 0, 2, 99, "b")
    relabeled = labels.join(whole, Labels(given=[again]))
    assert {one.place for one in relabeled.given} == {one.place for one in whole.given}
    assert again in relabeled.given


class Dying(Exception):
    pass


class Mortal(MemoryStore):
    """Dies at one of its calls."""

    left = -1

    def _call(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Dying

    def put(self, *args: Any, **kwargs: Any) -> str:
        self._call()
        return super().put(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> None:
        self._call()
        super().delete(*args, **kwargs)


def read(store: Store, day: int = 0) -> dict[str, int]:
    result = stored.read(store, "m", 0, 99_999)
    assert result.left_out == 0
    return {one.place: one.label for one in result.labels.given}


@given(st.lists(st.lists(GIVEN, min_size=1, max_size=4), max_size=5), st.integers(1, 9))
def test_a_merger_may_die_anywhere_and_readers_see_the_same(posts: list[list[Given]], death: int) -> None:
    store = Mortal()
    expected = last_of_each([one for post in posts for one in post])
    for post in posts:
        stored.keep(store, "m", post)
    copies = {key: store.get(key).body for key in list(store._objects)}
    assert read(store) == expected
    store.left = death
    try:
        stored.merge(store)
    except Dying:
        pass
    store.left = -1
    assert read(store) == expected
    stored.merge(store)
    assert read(store) == expected
    assert not store.list_page("feedback/raw/").objects
    for key, body in copies.items():  # a write that was repeated after all
        store.put(key, body)
    stored.merge(store)
    assert read(store) == expected


def test_two_mergers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    stored.keep(store, "m", [Given(answers.encode(answer(1)), 0, 1, 5, "a")])
    put, overtaken = store.put, []

    def slow(key: str, body: bytes, **options: Any) -> str:
        if not overtaken:
            overtaken.append(key)
            stored.keep(store, "m", [Given(answers.encode(answer(2)), 0, 1, 5, "b")])
            stored.merge(store)
        return put(key, body, **options)

    monkeypatch.setattr(store, "put", slow)
    stored.merge(store)
    assert len(read(store)) == 2


def test_a_reader_that_is_overtaken_by_a_merger_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    stored.keep(store, "m", [Given(answers.encode(answer(1)), 0, 1, 5, "a")])
    get_many, overtaken = stored.get_many, []

    def slow(at: Store, names: Any, **options: Any) -> Any:
        if not overtaken:
            overtaken.append(True)
            stored.merge(store)
        return get_many(at, names, **options)

    monkeypatch.setattr(stored, "get_many", slow)
    assert len(read(store)) == 1


def test_what_is_damaged_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    stored.keep(store, "m", [Given(answers.encode(answer(1)), 0, 1, 5, "a")])
    [info] = store.list_page("feedback/raw/").objects
    store.put(info.key[:-1] + ("1" if info.key.endswith("0") else "0"), b"x")
    store.put("feedback/raw/m/strange", b"x")
    result = stored.read(store, "m", 0, 99_999)
    assert (len(result.labels.given), result.left_out) == (1, 1)
    merged = stored.merge(store)
    assert (merged.added, merged.left_out) == (1, 1)
    assert "labels damaged" in caplog.text


def test_purging_takes_a_models_labels_and_no_others() -> None:
    store = MemoryStore()
    for model in ("m", "m2"):
        stored.keep(store, model, [Given(answers.encode(answer(1)), 0, 1, 5, "a")])
        stored.merge(store)
        stored.keep(store, model, [Given(answers.encode(answer(2)), 0, 1, 5, "a")])
    assert stored.purge(store, "m").objects == 1
    assert read(store) == {}
    assert len(stored.read(store, "m2", 0, 99_999).labels.given) == 2
