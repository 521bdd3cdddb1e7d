"""When a folder of the inbox is one package: files come in any order, their events late, twice or never."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.ingest import arrivals, pipeline
from shared.ingest.verdict import Limits
from shared.storage.memory import MemoryStore
from tests.ingest.inbox_world import BODY, CONFIG, DECLARED, OTHER, World
from tests.proofs.stores import age
from tests.support import float_package


@pytest.fixture
def world() -> World:
    return World()


def test_a_folder_of_several_files_is_one_package(world: World) -> None:
    world.put({"amaas.json": DECLARED, "model.onnx": BODY})
    assert world.uploads() == [], "more files may come"
    [upload] = world.timers.end()
    assert (upload.state, upload.version, upload.by) == ("registered", 1, "s3:ann")
    assert [file.name for file in upload.files] == ["model.onnx", "amaas.json"]
    assert all(file.sha256 and file.size for file in upload.files)
    assert world.licence(1) == "MIT"
    world.look()
    assert (world.uploads(), world.latest()) == ([("registered", None)], 1)


@pytest.mark.parametrize("seed", range(6))
def test_events_in_any_order_twice_or_never_make_one_version(world: World, seed: int) -> None:
    rng = random.Random(seed)
    files = {"amaas.json": DECLARED, "model.onnx": BODY}
    for name in rng.sample(list(files), len(files)):
        world.store.put(f"inbox/m/{name}", files[name])
    events = rng.sample([*files, *files], rng.randrange(5))
    for name in events:
        world.event(f"inbox/m/{name}")
        if rng.random() < 0.4:
            world.timers.end()
    world.timers.end()
    world.look()
    assert (world.uploads(), world.latest(), world.licence(1)) == ([("registered", None)], 1, "MIT")


def test_a_bare_graph_waits_for_a_slower_manifest(world: World) -> None:
    world.put({"model.onnx": BODY})
    world.put({"amaas.json": DECLARED})
    assert [one.version for one in world.timers.end()] == [1], "the first timer's folder has changed"
    assert (world.latest(), world.licence(1)) == (1, "MIT")


def test_a_bare_graph_alone_is_taken_as_it_is(world: World) -> None:
    world.put({"iris v1.onnx": BODY})
    [upload] = world.timers.end()
    assert (upload.state, [file.name for file in upload.files]) == ("registered", ["model.onnx"])


def test_the_marker_needs_no_quiet(world: World) -> None:
    world.put({"model.onnx": BODY, "amaas.json": DECLARED, "_READY": b""})
    assert (world.latest(), world.licence(1)) == (1, "MIT")
    assert world.timers.end() == []


def test_a_marker_of_an_earlier_time_says_nothing(world: World) -> None:
    world.put({"model.onnx": BODY, "amaas.json": DECLARED, "_READY": b""})
    age(world.store, "inbox/", 60)
    world.put({"model.onnx": OTHER})
    assert world.latest() == 1, "the new graph with the old manifest is not what was meant"
    world.put({"amaas.json": DECLARED + b" ", "_READY": b""})
    assert world.latest() == 2
    world.timers.end()
    assert (world.latest(), len(world.uploads())) == (2, 2)


def test_the_same_folder_again(world: World) -> None:
    files = {"model.onnx": BODY, "amaas.json": DECLARED}
    for expected, changed in ((1, {}), (1, {}), (2, {"amaas.json": b'{"licence": "BSD"}'}), (3, {"model.onnx": OTHER})):
        age(world.store, "inbox/", 60)
        files |= changed
        world.put(files)
        world.timers.end()
        assert world.latest() == expected
    assert world.licence(2) == "BSD"


def test_six_pushes_at_once(world: World) -> None:
    for number in range(6):
        world.put({"model.onnx": BODY, "amaas.json": DECLARED}, f"inbox/m{number}/")
    assert sorted(one.model for one in world.timers.end()) == [f"m{number}" for number in range(6)]


def test_six_pushes_of_the_same_folder_at_once(world: World) -> None:
    def push(number: int) -> None:
        for name, body in random.Random(number).sample([("model.onnx", BODY), ("amaas.json", DECLARED)], 2):
            world.put({name: body})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(push, range(6)))
        started = [*world.timers.started.values()] * 2  # calls come at least once
        ended = pool.map(lambda one: pipeline.on_quiet(world.log, CONFIG, one, Limits(), world.timers), started)
        assert {upload.version for uploads in ended for upload in uploads if upload.state == "registered"} == {1}
    world.look()
    assert (world.uploads(), world.latest()) == ([("registered", None)], 1)


def test_a_file_that_is_named_is_waited_for(world: World) -> None:
    declared = {"task": "text-classification", "preprocess": {"kind": "text", "tokenizer": "tokenizer.json"}}
    world.put({"model.onnx": BODY, "amaas.json": json.dumps(declared).encode()})
    assert world.timers.end() == [] and world.uploads() == []
    [upload] = world.timers.end()  # the longer one
    assert (upload.state, upload.code) == ("rejected", "bad_manifest")
    assert "tokenizer.json" in str(upload.reason)
    world.look()
    assert len(world.uploads()) == 1, "nothing is rejected twice"


def test_weights_of_a_graph_are_waited_for(world: World, tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(float_package(tmp_path) / "model.onnx")
    onnx.save_model(
        model, tmp_path / "net.onnx", save_as_external_data=True, location="net.onnx.data", size_threshold=0
    )
    graph, weights = ((tmp_path / name).read_bytes() for name in ("net.onnx", "net.onnx.data"))
    assert arrivals.named_by_graph(graph) == ["net.onnx.data"]
    world.put({"net.onnx": graph})
    assert world.timers.end() == []
    world.put({"net.onnx.data": weights})
    [upload] = world.timers.end()
    assert (upload.state, upload.version) == ("registered", 1), upload.reason
    assert world.uploads() == [("registered", None)]


def test_a_folder_without_a_model_is_told_of(world: World) -> None:
    world.put({"config.json": b"{}", "tokenizer.json": b"{}"})
    assert world.timers.end() == []
    [upload] = world.timers.end()
    assert (upload.state, upload.code) == ("rejected", "not_onnx")
    assert "config.json" in str(upload.reason) and "add the model" in str(upload.reason)


def several(world: World) -> None:
    world.put({"a.onnx": BODY, "b.onnx": OTHER, "amaas.json": DECLARED})


def too_many(world: World) -> None:
    world.put({"amaas.json": DECLARED} | {f"{n}.txt": b"" for n in range(16)})


def beside(world: World) -> None:
    world.put({"a.onnx": BODY, "README.md": b"# A model"})


@pytest.mark.parametrize(
    ("put", "codes"),
    [
        (several, ["several_graphs"]),
        (too_many, ["too_many_files"]),
        (beside, [None, "no_package"]),
    ],
)
def test_what_belongs_to_no_package_is_told_of(
    world: World, put: Callable[[World], None], codes: list[str | None]
) -> None:
    put(world)
    ended = world.timers.end()
    assert [one.code for one in ended] == codes
    assert all("inbox/m/" in str(one.reason) for one in ended if one.code)
    world.look()
    assert len(world.uploads()) == len(codes)


def test_several_bare_graphs_are_models_of_their_own(world: World) -> None:
    world.put({"a.onnx": BODY, "b.onnx": OTHER})
    assert [one.version for one in world.timers.end()] == [1, 2]


def test_files_that_are_replaced_before_their_check_are_not_mixed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put({"model.onnx": BODY, "amaas.json": DECLARED})
    download = MemoryStore.download

    def replaced(store: MemoryStore, key: str, path: str) -> str:
        monkeypatch.setattr(MemoryStore, "download", download)
        store.put("inbox/m/amaas.json", b'{"licence": "BSD"}')
        return download(store, key, path)

    monkeypatch.setattr(MemoryStore, "download", replaced)
    [upload] = world.timers.end()
    assert (upload.state, upload.code) == ("expired", "files_gone")
    world.event("inbox/m/amaas.json")
    assert [one.version for one in world.timers.end()] == [1]
    assert world.licence(1) == "BSD"


def test_what_is_left_of_a_removed_package_is_no_version(world: World) -> None:
    world.put({"model.onnx": BODY, "amaas.json": DECLARED})
    world.timers.end()
    world.store.delete("inbox/m/amaas.json")
    world.look()
    assert (world.latest(), len(world.uploads())) == (1, 1)


def test_a_timer_whose_call_is_repeated_goes_on_with_what_was_interrupted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put({"model.onnx": BODY, "amaas.json": DECLARED})
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "check_package", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.timers.end()
    world.timers.over.clear()
    assert [one.version for one in world.timers.end()] == [1]
