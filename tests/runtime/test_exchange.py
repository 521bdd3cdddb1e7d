"""Messages in shared memory: whatever the other side writes, a reader gets a message of ours or one kind of error."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import TooLarge
from shared.runtime import exchange
from shared.runtime.arrays import DTYPES
from shared.runtime.exchange import Answer, Run, Tensor, Unreadable

HALF = slice(64, 4096)


def written(arrays: dict[str, np.ndarray]) -> tuple[bytearray, int]:
    area = bytearray(HALF.stop)
    tensors, contents = exchange.describe(arrays.items())
    return area, exchange.write(area, HALF, Run(None, tensors), contents)


def read(area: bytearray, length: int) -> list[np.ndarray]:
    run = exchange.read_message(area, HALF, length, exchange.RUN)
    return list(exchange.read_tensors(area, HALF, length, run.feeds))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 3), max_size=4)), max_size=6))
def test_what_is_written_is_read(kinds: list[tuple[str, list[int]]]) -> None:
    arrays = {}
    for n, (datatype, shape) in enumerate(kinds):
        values = np.arange(int(np.prod(shape))).astype(np.uint8)
        flat = np.array([str(v) for v in values], object) if datatype == "BYTES" else values
        stored = flat.astype(np.uint16).view(DTYPES["BF16"]) if datatype == "BF16" else flat
        arrays[str(n)] = stored.astype(DTYPES[datatype], copy=False).reshape(shape)
    for one, other in zip(arrays.values(), read(*written(arrays)), strict=True):
        assert (one.dtype, one.shape, one.tolist()) == (other.dtype, other.shape, other.tolist())


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_what_is_tampered_with_is_a_message_or_unreadable(data: st.DataObject) -> None:
    area, length = written({"x": np.arange(6).reshape(2, 3), "t": np.array(["a", "b"], object)})
    for _ in range(data.draw(st.integers(1, 4))):
        area[data.draw(st.integers(HALF.start, HALF.start + length + 80))] = data.draw(st.integers(0, 255))
    length += data.draw(st.integers(-3, 3))
    with suppress(Unreadable):
        for array in read(area, length):
            assert array.nbytes <= 4096 or array.size == 0
            array.tolist()


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("x", "FP32", [2**30], 2**32),
        Tensor("x", "FP32", [2**62, 2**62], 0),
        Tensor("x", "FP32", [0, 2**62], 0),
        Tensor("x", "FP32", [1] * 33, 4),
        Tensor("x", "FP32", [-1], 4),
        Tensor("x", "FP32", [-1, -1], 4),
        Tensor("x", "FP32", [2], 4),
        Tensor("x", "FP32", [1], -4),
        Tensor("x", "FP32", [1000], 4000),  # one byte too far
        Tensor("x", "OBJECT", [1], 8),
        Tensor("x", "BYTES", [2**40], 4),
        Tensor("x", "BYTES", [2], 1),
    ],
)
def test_tensors_that_there_cannot_be(tensor: Tensor) -> None:
    area = bytearray(HALF.stop)
    length = exchange.write(area, HALF, Answer([tensor]))
    with pytest.raises(Unreadable):
        list(exchange.read_tensors(area, HALF, length, [tensor]))


@pytest.mark.parametrize("length", [-1, 0, exchange.MESSAGE_BYTES + 1, 2**63])
def test_lengths_that_there_cannot_be(length: int) -> None:
    with pytest.raises(Unreadable):
        exchange.read_message(bytearray(HALF.stop), HALF, length, exchange.REPLY)


@pytest.mark.parametrize(
    "body", [b"\xc1", b"\x93\x02\x90", b"\x92\x09\x90", b"\x91" * 4000, b"\x92\x02\x91\x94\xa1\xff"]
)
def test_messages_that_are_none(body: bytes) -> None:
    area = bytearray(HALF.stop)
    area[HALF.start : HALF.start + len(body)] = body[: HALF.stop - HALF.start]
    with pytest.raises(Unreadable):
        exchange.read_message(area, HALF, len(body), exchange.REPLY)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(TooLarge, match="send fewer inputs"):
        written({"x": np.zeros(1000, np.float32)})


@pytest.mark.parametrize("encoded", [b"\x92\xa0\xa0", b"\xdc\x00\x02\xa0\xa0", b"\xdd\x00\x00\x00\x02\xa0\xa0"])
def test_texts_are_counted_by_the_head_of_their_array(encoded: bytes) -> None:
    assert exchange._texts(encoded, 2).tolist() == ["", ""]
    for body, count in ((encoded, 3), (encoded[:-1], 2), (b"\xa0" + encoded, 2), (b"\xdd\x00", 2), (b"", 0)):
        with pytest.raises(Unreadable):
            exchange._texts(body, count)


@pytest.mark.parametrize("texts", [np.full(exchange.MOST_TEXTS + 1, "", object), np.array(["x" * exchange.TEXT_BYTES])])
def test_too_many_texts_are_told_before_they_are_written(texts: np.ndarray) -> None:
    with pytest.raises(TooLarge, match=r"'t' are more than.*send fewer"):
        exchange.describe([("t", texts)])
