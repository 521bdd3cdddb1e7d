"""Open files, iterators, tensors of other libraries, numbers and gaps of theirs: answered as their content is."""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from amaas import AmaasError, ApiError, Client
from amaas.api import held
from PIL import Image

from shared.registry.log import Log
from tests.client.gateway import Service, Trouble
from tests.client.models import PNG, everyday, served


@pytest.fixture(autouse=True)
def models(log: Log) -> None:
    served(log)
    everyday(log)


class Tensor:
    """As PyTorch's: it has a type of its own, may be of a training, and is one of numpy when it is asked."""

    dtype = SimpleNamespace(itemsize=4)  # no `kind`

    def __init__(self, values: Any, *, detached: bool = False) -> None:
        self._values, self._detached = np.array(values), detached
        self.shape = self._values.shape

    def detach(self) -> Tensor:
        return Tensor(self._values, detached=True)

    def cpu(self) -> Tensor:
        return self

    def tolist(self) -> Any:
        return self._values.tolist()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        if not self._detached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self._values


def read(path: Path, mode: str = "rb") -> Any:
    return path.open(mode)


@pytest.mark.parametrize(
    "value",
    [
        Tensor([1, 2]),
        deque([1, 2]),
        (n for n in (1, 2)),
        range(1, 3),
        {"a": 1, "b": 2}.values(),
        [np.float32(1), np.int64(2)],
        [Decimal(1), Fraction(2)],
        MappingProxyType({"a": 1, "b": 2}),
        np.array((1, 2), dtype=[("a", "f4"), ("b", "i8")]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_row(client: Client, value: Any) -> None:
    assert client.predict("rows", value).value == 22.0


@pytest.mark.parametrize(
    "values",
    [
        Tensor([[1, 2], [0, 1]]),
        [Tensor([1, 2]), Tensor([0, 1])],
        (row for row in ([1, 2], [0, 1])),
        np.array([(1, 2), (0, 1)], dtype=[("a", "f4"), ("b", "i8")]),
        map(list, ((1, 2), (0, 1))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_several_rows(client: Client, values: Any) -> None:
    assert [result.value for result in client.predict("rows", values).results] == [22.0, 10.0]


def test_a_gap_is_one_in_every_library(client: Client) -> None:
    for value in (np.float32("nan"), Decimal("nan"), math.nan):
        assert client.predict("rows", [value, 1]).value == client.predict("rows", {"a": value, "b": 1}).value == 210.0


def test_open_files_and_buffers(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shoe.png").write_bytes(PNG)
    (tmp_path / "row.csv").write_text("a,b\n1,2\n")
    expected = client.predict("digits", PNG).predictions
    written = io.BytesIO()
    written.write(PNG)  # and stands at its end
    for image in (io.BytesIO(PNG), written, read(tmp_path / "shoe.png"), PurePosixPath(tmp_path / "shoe.png")):
        assert client.predict("digits", image).predictions == expected
    assert client.predict("digits", [io.BytesIO(PNG), Path("shoe.png")]).results[1].predictions == expected
    assert client.predict("digits", {"input": io.BytesIO(PNG)}).predictions == expected
    assert client.predict("rows", read(tmp_path / "row.csv")).results[0].value == 22.0
    assert client.predict("words", io.StringIO("the cat")).embedding == client.predict("words", "the cat").embedding


def test_what_is_read_once_is_sent_again(client: Client, service: Service) -> None:
    """An iterator has its members once, an attempt that fails is made again."""
    client._described[("rows", None)] = {"inputs": [{"name": "x"}], "parameters": {"task": "tensor"}}  # of before
    service.trouble = [Trouble("POST", "predict", 503)]
    assert client.predict("rows", iter([1, 2])).value == 22.0


def test_what_cannot_be_read(client: Client) -> None:
    closed = io.BytesIO(PNG)
    closed.close()

    def endless() -> Iterator[int]:
        while True:
            yield 1

    class Foreign:
        def __array__(self, *_: Any, **__: Any) -> np.ndarray:
            raise TypeError("can't convert cuda:0 device type tensor")

    for value, told in (
        (closed, r"the BytesIO cannot be read \(I/O operation on closed file"),
        (endless(), f"more than {held.MOST:,} inputs in one call"),
        (Foreign(), r"the Foreign is no array of numpy \(can't convert cuda:0"),
        (Image.new("L", (0, 0)), "the image has no pixels"),
    ):
        with pytest.raises(AmaasError, match=told):
            client.predict("digits", value)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="/dev/zero is of Unix")
def test_a_file_without_end(client: Client, service: Service) -> None:
    with pytest.raises(AmaasError, match=r"/dev/zero has more than 67,108,864 bytes, .*: give it to a batch job"):
        client.predict("digits", Path("/dev/zero"))
    assert not service.received("POST", "predict")


def test_names_of_files_in_a_list_are_texts_and_it_says_so(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shoe.png").write_bytes(PNG)
    with pytest.raises(ApiError, match=r"'shoe\.png' was sent as a text: in a list, give files as Path"):
        client.predict("digits", ["shoe.png"])
