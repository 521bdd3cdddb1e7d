"""Bundled models: opened without a download, checked while they are opened, replaced by the store's where damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from shared import keys
from shared.errors import Unavailable
from shared.registry import blobs
from shared.runtime import layout, onnx
from shared.serving import layer as layers
from shared.serving.layer import EMPTY, Later, Layer
from shared.serving.sources import Sources
from tests.serving.test_models import CountingStore
from tests.support import linear

ROWS = 600  # above what stays in the graph


@pytest.fixture(params=["aligned", "as exported"])
def model(request: pytest.FixtureRequest) -> bytes:
    model_ = linear([[float(row)] for row in range(ROWS)])
    return layout.aligned(model_) if request.param == "aligned" else model_


@pytest.fixture
def store(model: bytes) -> CountingStore:
    store_ = CountingStore()
    blobs.write(store_, model)
    return store_


@pytest.fixture
def folder(tmp_path: Path, model: bytes) -> Path:
    files = tmp_path / "blobs" / "sha256"
    files.mkdir(parents=True)
    digest = hashlib.sha256(model).hexdigest()
    (files / digest).write_bytes(model)
    (tmp_path / "index.json").write_text(json.dumps({"m": {"model": digest}}))
    return tmp_path


def answer(session: onnx.Session) -> float:
    return float(session.run(None, {"x": np.ones((1, ROWS), np.float32)})[0][0, 0])


def test_a_bundled_model_is_not_downloaded(store: CountingStore, folder: Path) -> None:
    sources = Sources(Layer(str(folder)), store)
    session, size = sources.open(sources.layer.models["m"].model)
    assert answer(session) == sum(range(ROWS))
    assert size >= ROWS * 4
    assert store.reads == []


@pytest.mark.parametrize("damage", ["flipped", "short", "missing"])
def test_what_is_damaged_comes_from_the_store(store: CountingStore, folder: Path, damage: str) -> None:
    sources = Sources(Layer(str(folder)), store)
    digest = sources.layer.models["m"].model
    path = folder / "blobs" / "sha256" / digest
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(body[: len(body) // 2] if damage == "short" else body)
    assert answer(sources.open(digest)[0]) == sum(range(ROWS))
    assert store.reads == [keys.blob(digest)]


def test_where_the_disk_is_nearly_full_nothing_stays_on_it(
    store: CountingStore, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped_flags: list[bool] = []
    monkeypatch.setattr("shared.serving.sources.RESERVE", 1 << 62)
    with monkeypatch.context() as patch:
        real = onnx.load
        patch.setattr(onnx, "load", lambda path, threads, mapped: mapped_flags.append(mapped) or real(path, threads))
        session, _ = Sources(EMPTY, store).open(hashlib.sha256(model).hexdigest(), trusted=True)
    assert mapped_flags == [False]
    assert answer(session) == sum(range(ROWS))
    behind, _ = Sources(EMPTY, store).open(hashlib.sha256(model).hexdigest())
    assert behind._order.mapped is False  # type: ignore[attr-defined]  # of a confined one
    assert answer(behind) == sum(range(ROWS))


@pytest.mark.parametrize("index", [None, "", "[]", '{"m": 3}'])
def test_without_an_index_everything_comes_from_the_store(
    store: CountingStore, folder: Path, index: str | None
) -> None:
    digest = Sources(Layer(str(folder)), store).layer.models["m"].model
    if index is None:
        (folder / "index.json").unlink()
    else:
        (folder / "index.json").write_text(index)
    sources = Sources(Layer(str(folder)), store)
    assert sources.layer.models == {}
    assert answer(sources.open(digest)[0]) == sum(range(ROWS))


def test_other_files_of_the_layer_are_checked_too(store: CountingStore, folder: Path) -> None:
    digest = blobs.write(store, b"a tokenizer")
    path = folder / "blobs" / "sha256" / digest
    path.write_bytes(b"a tokenizer")
    assert Sources(Layer(str(folder)), store).read(digest) == b"a tokenizer"
    assert keys.blob(digest) not in store.reads
    path.write_bytes(b"tampered")
    assert Sources(Layer(str(folder)), store).read(digest) == b"a tokenizer"
    assert keys.blob(digest) in store.reads


def test_what_was_begun_is_not_opened_twice(store: CountingStore, folder: Path) -> None:
    layer = Layer(str(folder))
    layer.begin(("m", "not here"))
    begun = layer._begun[layer.models["m"].model]
    opened = layer.open(layer.models["m"].model)
    assert opened is begun.result()
    again = layer.open(layer.models["m"].model)
    assert again is not None and again[0] is not opened[0]
    assert EMPTY.open(layer.models["m"].model) is None


def test_the_only_model_of_the_layer_is_the_usual_one_and_so_are_small_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Layer(str(folder))
    assert (layer.preload_names(None), layer.preload_names(()), layer.preload_names(("a", "b"))) == (
        ("m",),
        (),
        ("a", "b"),
    )
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"n": index["m"]}))
    assert (Layer(str(folder)).preload_names(None), EMPTY.preload_names(None)) == (("m", "n"), ())
    monkeypatch.setattr(layers, "SMALL", 10)
    assert (Layer(str(folder)).preload_names(None), layer.preload_names(None)) == ((), ("m",))
    next((folder / "blobs" / "sha256").iterdir()).unlink()
    monkeypatch.setattr(layers, "SMALL", 4_000_000)
    assert Layer(str(folder)).preload_names(None) == ()


def test_an_error_there_is_raised_here() -> None:
    def fail() -> None:
        raise Unavailable("gone")

    with pytest.raises(Unavailable, match="gone"):
        Later(fail).result()
