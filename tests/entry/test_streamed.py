"""Answers made part by part, and what they are where nothing can stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.entry.streamed import Streamed, buffered, streams_here


def test_a_text_is_one_body() -> None:
    answer = buffered(Streamed(200, {"Content-Type": "text/event-stream"}, iter(["né".encode(), b"", b"x"])))
    headers = {"Content-Type": "text/event-stream"}
    assert answer == {"statusCode": 200, "headers": headers, "body": "néx", "isBase64Encoded": False}


@pytest.mark.parametrize(
    "headers", [{"content-type": "image/png"}, {}, {"content-type": "text/plain", "Content-Encoding": "gzip"}]
)
def test_what_is_no_text_is_base64(headers: dict[str, str]) -> None:
    answer = buffered(Streamed(201, headers, iter([b"\0", b"\xff"])))
    assert answer == {"statusCode": 201, "headers": headers, "body": "AP8=", "isBase64Encoded": True}


def test_an_answer_that_fails_is_closed_and_raises() -> None:
    ended = []

    def parts() -> Iterator[bytes]:
        try:
            yield b"a"
            raise KeyError("b")
        finally:
            ended.append(True)

    with pytest.raises(KeyError):
        buffered(Streamed(200, {}, parts()))
    assert ended == [True]


def test_closing_ends_a_generator_and_leaves_an_iterator() -> None:
    ended = []

    def parts() -> Iterator[bytes]:
        try:
            yield b"a"
        finally:
            ended.append(True)

    streamed = Streamed(200, {}, parts())
    next(streamed.parts)
    streamed.close()
    Streamed(200, {}, iter([])).close()
    assert ended == [True]


def test_nothing_streams_here() -> None:
    assert not streams_here()
