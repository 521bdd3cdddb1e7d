"""A registered model as a teacher, and the client's binary tensors, against the functions themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from amaas.api import tensors
from amaas.client import Client
from amaas.errors import AmaasError

from shared.package.manifest import Tensor
from shared.serving import protocol
from shared.storage.memory import MemoryStore
from tests.functions.service import connected
from tests.functions.test_flow import MANIFEST, push
from tests.support import tiny_classifier
from training import teacher
from training.errors import TrainingError

ROWS = np.random.default_rng(0).normal(size=(7, 1, 4, 4)).astype(np.float32)


@pytest.fixture
def client(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Client:
    push(store, "shapes", {"model.onnx": tiny_classifier(), "amaas.json": json.dumps(MANIFEST).encode()})
    return connected(store, monkeypatch)


def sums(rows: np.ndarray) -> np.ndarray:
    flat = rows.reshape(len(rows), -1)
    return np.stack([flat[:, np.arange(16) % 3 == label].sum(1) for label in range(3)], 1)


def test_a_registered_model_teaches(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "CARRIED", 3 * ROWS[0].nbytes)  # three rows in a call
    # of this process, in which other tests may have called a model of this name
    counted_before = client.get_version_statistics("shapes", 1)["inference_count"]
    for wanted in ("shapes", "shapes@1", "shapes@production"):
        taught_by = teacher.teacher(wanted, client)
        assert taught_by.reference == "shapes@1" and taught_by.labels == ["a", "b", "c"]
    np.testing.assert_allclose(taught_by.logits({"image": ROWS}), sums(ROWS), rtol=1e-5, atol=1e-6)
    assert client.get_version_statistics("shapes", 1)["inference_count"] - counted_before == 3


def test_a_teacher_that_cannot_be_asked_says_why(client: Client) -> None:
    with pytest.raises(TrainingError, match=r"nothing@production cannot be reached: .*nothing"):
        teacher.teacher("nothing", client)
    taught_by = teacher.teacher("shapes", client)
    with pytest.raises(TrainingError, match=r"shapes@1 did not answer: .*x.*image"):
        taught_by.logits({"x": ROWS})


def test_a_teacher_has_labels(client: Client, store: MemoryStore) -> None:
    push(store, "bare", {"model.onnx": tiny_classifier()})
    with pytest.raises(TrainingError, match="no labels"):
        teacher.teacher("bare", client)
    with pytest.raises(TrainingError, match="same, in the same order"):
        teacher.check_labels(teacher.teacher("shapes", client), ["a", "b"])


def test_probabilities_become_logits() -> None:
    shares = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
    made = teacher._logits(shares, ["a", "b", "c"], "none", "m@1")
    again = np.exp(made) / np.exp(made).sum(1, keepdims=True)
    np.testing.assert_allclose(again, shares, atol=1e-6)
    assert np.isfinite(made).all()
    assert (teacher._logits(shares, ["a", "b", "c"], "softmax", "m@1") == shares).all()


@pytest.mark.parametrize("kind", tensors.DATATYPES)
def test_every_type_goes_there_and_back(kind: str) -> None:
    """Through the code that serves: it reads what the client writes, and the client what it answers."""
    values = np.arange(6).reshape(3, 2).astype(tensors.DATATYPES[kind])
    body, length = tensors.encode({"x": values}, ["y"])
    asked = protocol.parse(body, {"inference-header-content-length": str(length)})
    fed = protocol.feeds(asked, [Tensor(name="x", datatype=kind, shape=[-1, 2])])
    wanted = protocol.requested_outputs(asked, [Tensor(name="y", datatype=kind, shape=[-1, 2])])
    reply = protocol.answer("m", 1, None, [(wanted[0], fed["x"])])
    got = tensors.decode(reply.body, reply.headers["Inference-Header-Content-Length"])
    assert got["y"].dtype == values.dtype and (got["y"] == values).all()


def test_text_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(AmaasError, match="no binary form"):
        client.infer_binary("shapes", {"image": np.array(["a"])})
