"""What a session is to those who call it, of both kinds: in this process, and behind the wall."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper

from shared.errors import BadInput
from shared.runtime.arrays import BF16, DTYPES, datatype_of, to_bfloat16, widen_bfloat16
from shared.runtime.signature import OutOfMemory, Session, TensorSpec, Unloadable
from shared.runtime.sizes import NOT_EMPTY
from tests.runtime import sessions
from tests.runtime.sessions import FLOAT, INT64, MEMORY, TEXT
from tests.support import ELEMENTS, identities, linear

Load = Callable[[bytes], Session]


@pytest.fixture(params=list(sessions.KINDS))
def load(request: pytest.FixtureRequest) -> Load:
    return sessions.KINDS[request.param]


def zeros(count: int) -> dict[str, np.ndarray]:
    return {"shape": np.array([count], np.int64)}


def test_the_signature_is_the_models(load: Load) -> None:
    session = load(linear([[1.0], [0.0]]))
    assert session.inputs == [TensorSpec("x", "FP32", [-1, 2])]
    assert session.outputs == [TensorSpec("y", "FP32", [-1, 1])]
    assert session.optional == []


def test_inputs_with_a_default_are_optional(load: Load) -> None:
    body = sessions.model(
        [helper.make_node("Add", ["x", "by"], ["y"])],
        {"x": (FLOAT, [2]), "by": (FLOAT, [2])},
        {"y": (FLOAT, [2])},
        {"by": np.array([10, 20], np.float32)},
    )
    session = load(body)
    assert [spec.name for spec in session.optional] == ["by"]
    x = np.array([1, 2], np.float32)
    assert session.run(None, {"x": x})[0].tolist() == [11, 22]
    assert session.run(None, {"x": x, "by": x})[0].tolist() == [2, 4]


def test_every_datatype_goes_in_and_out(load: Load) -> None:
    session = load(identities())
    feeds = {}
    for name in ELEMENTS:
        spec = next(spec for spec in session.inputs if spec.name == f"x-{name}")
        plain = np.array(["a", "ü€😀", ""], object) if name == "bytes" else np.array([0, 1, 1])
        feeds[spec.name] = plain if name == "bytes" else plain.astype(DTYPES[spec.datatype])
    for outputs in (session.run(None, feeds), session.run([f"y-{name}" for name in ELEMENTS], feeds)):
        for spec, array in zip(session.outputs, outputs, strict=True):
            assert datatype_of(array) == spec.datatype
            assert array.tolist() == feeds[spec.name.replace("y-", "x-")].tolist()


def test_what_numpy_lacks_goes_in_and_out(load: Load) -> None:
    body = sessions.model(
        [helper.make_node("Identity", ["x"], ["y"])],
        {"x": (TensorProto.BFLOAT16, ["N"])},
        {"y": (TensorProto.BFLOAT16, ["N"])},
    )
    values = to_bfloat16(np.array([1.5, -2.0], np.float32))
    [answer] = load(body).run(["y"], {"x": values})
    assert answer.dtype == BF16
    assert widen_bfloat16(answer).tolist() == [1.5, -2.0]


@pytest.mark.parametrize("shape", [(0, 2), (1, 2), (70_000, 2)])
def test_sizes(load: Load, shape: tuple[int, int]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    [answer] = load(linear([[1.0], [0.0]])).run(None, {"x": x})
    assert answer.shape == (shape[0], 1)
    assert answer[:, 0].tolist() == x[:, 0].tolist()


def test_values_in_any_order_of_memory(load: Load) -> None:
    x = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2))[::-1]
    assert load(linear([[1.0], [10.0]])).run(None, {"x": x})[0][:, 0].tolist() == [54, 32, 10]


def test_texts_of_any_kind(load: Load) -> None:
    session = load(sessions.spells())
    for texts in (np.array(["a", "bb"]), np.array([b"a", b"bb"]), np.array([b"a", "bb"], object)):
        assert session.run(None, {"x": texts})[0].tolist() == ["a", "bb"]
    assert session.run(None, {"x": np.empty(0, object)})[0].tolist() == []


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, "the model takes"),
        ({"x": np.zeros((1, 2), np.float32), "z": np.zeros(1)}, "the model takes"),
        ({"x": np.zeros(2, np.float32)}, "shape"),
        ({"x": np.zeros((1, 2), np.float64)}, "float64"),
        ({"x": np.zeros((1, 2), ">f4")}, "the model takes FP32"),
        ({"x": np.zeros((1, 2), "datetime64[s]")}, "datetime64"),
        ({"x": np.zeros((1, 3), np.float32)}, "cannot run"),
    ],
)
def test_inputs_that_do_not_fit(load: Load, feeds: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        load(linear([[1.0], [0.0]])).run(None, feeds)


def test_outputs_that_there_are_not(load: Load) -> None:
    with pytest.raises(BadInput, match=r"no output \['z'\]: it has \['y'\]"):
        load(linear([[1.0], [0.0]])).run(["z"], {"x": np.zeros((1, 2), np.float32)})


@pytest.mark.parametrize("texts", [np.array([b"\xff"], object), np.array(["\ud800"], object)])
def test_texts_that_are_none(load: Load, texts: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"UTF-8|Unicode|cannot run"):
        load(sessions.spells()).run(None, {"x": texts})


def test_what_may_not_be_empty(load: Load) -> None:
    vector = (FLOAT, ["N"])
    body = sessions.model(
        [helper.make_node("Identity", ["x"], ["y"])], {"x": vector}, {"y": vector}, metadata={NOT_EMPTY: '["x"]'}
    )
    with pytest.raises(BadInput, match="is empty"):
        load(body).run(None, {"x": np.empty(0, np.float32)})


def test_what_is_no_model(load: Load) -> None:
    with pytest.raises(Unloadable, match="cannot load") as refusal:
        load(b"not a model")
    assert refusal.value.kind == "InvalidProtobuf"


def test_memory_that_there_is_not(load: Load) -> None:
    """Directly, more than there are addresses; confined, more than its bound."""
    session = load(sessions.grows())
    with pytest.raises(OutOfMemory, match="out of memory on this input"):
        session.run(["n"], zeros(2**45))
    assert session.run(["y"], zeros(3))[0].tolist() == [0, 0, 0]
    if not hasattr(session, "pid"):
        return
    with pytest.raises(OutOfMemory, match="out of memory on this input"):
        session.run(["n"], zeros(MEMORY // 2))
    assert session.run(["y"], zeros(3))[0].tolist() == [0, 0, 0]


def test_many_inputs(load: Load) -> None:
    names = [f"input-{n}" for n in range(300)]
    body = sessions.model(
        [helper.make_node("Concat", names, ["y"], axis=0)],
        {name: (INT64, [name]) for name in names},
        {"y": (INT64, ["N"])},
    )
    feeds = {name: np.full(n % 3, n) for n, name in enumerate(names)}
    assert load(body).run(None, feeds)[0].tolist() == [n for n in range(300) for _ in range(n % 3)]


def test_text_beside_numbers(load: Load) -> None:
    body = sessions.model(
        [helper.make_node("Cast", ["i"], ["s"], to=TEXT), helper.make_node("Identity", ["i"], ["j"])],
        {"i": (INT64, [2, "N"])},
        {"s": (TEXT, [2, "N"]), "j": (INT64, [2, "N"])},
    )
    s, j = load(body).run(None, {"i": np.array([[1], [-2]])})
    assert (s.tolist(), s.shape, j.tolist()) == ([["1"], ["-2"]], (2, 1), [[1], [-2]])
