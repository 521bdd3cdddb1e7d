"""What comes into the inbox without an amaas.json, and is more than a graph, or none at all."""

from __future__ import annotations

import pytest

from tests.ingest.inbox_world import BODY, DECLARED, OTHER, World

HUGGING_FACE = {"model.onnx": BODY, "config.json": b"{}", "tokenizer.json": b"{}", "vocab.txt": b""}


@pytest.fixture
def world() -> World:
    return World()


def test_a_folder_that_means_more_than_its_graph_is_one_refusal(world: World) -> None:
    world.put(HUGGING_FACE)
    assert world.uploads() == [], "an amaas.json may come"
    [upload] = world.timers.end()
    assert (upload.state, upload.code, world.latest()) == ("rejected", "undeclared", 0)
    assert {file.name for file in upload.files} == set(HUGGING_FACE)
    for said in ("inbox/m/ has config.json, tokenizer.json", "amaas push FOLDER", "--print > amaas.json"):
        assert said in str(upload.reason)
    for name in HUGGING_FACE:  # events come at least once
        world.event(f"inbox/m/{name}")
    assert world.timers.end() == []
    world.look()
    assert world.uploads() == [("rejected", "undeclared")]
    world.put({"amaas.json": DECLARED})
    assert [(one.state, one.version) for one in world.timers.end()] == [("registered", 1)]


@pytest.mark.parametrize("name", ["preprocessor_config.json", "genai_config.json", "MLmodel"])
def test_files_that_say_what_a_model_means(world: World, name: str) -> None:
    world.put({"a.onnx": BODY, "b.onnx": OTHER, name: b"{}", "_READY": b""})
    assert (world.uploads(), world.latest()) == ([("rejected", "undeclared")], 0)


def test_the_look_refuses_what_no_event_told_of(world: World) -> None:
    for name, body in HUGGING_FACE.items():
        world.store.put(f"inbox/m/{name}", body)
    world.look()
    world.look()
    assert (world.uploads(), world.latest()) == ([("rejected", "undeclared")], 0)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (["churn.joblib"], "amaas push churn.joblib --trust-pickle"),
        (["a.PKL", "notes.txt"], "amaas push a.PKL --trust-pickle"),
        (["net.pt"], "amaas push net.pt`"),
        (["net.pth"], "amaas push net.pth`"),
        (["net.h5"], "amaas push net.h5`"),
        (["net.keras"], "amaas push net.keras`"),
        (["net.tflite"], "amaas push net.tflite`"),
        (["model.safetensors", "config.json", "tokenizer.json"], "amaas push FOLDER`"),
        (["model.pkl", "MLmodel"], "amaas push FOLDER --trust-pickle`"),
    ],
)
def test_models_of_other_forms_are_refused_when_it_is_quiet(world: World, files: list[str], command: str) -> None:
    world.put(dict.fromkeys(files, b"any"))
    [upload] = world.timers.end()
    assert (upload.state, upload.code, len(upload.files)) == ("rejected", "not_onnx", len(files))
    assert command in str(upload.reason) and "docs/bring-a-model.md" in str(upload.reason)
    assert world.timers.end() == [], "nothing is waited for"
    world.look()
    assert len(world.uploads()) == 1


def test_a_graph_that_comes_after_all_beside_another_form_is_taken(world: World) -> None:
    world.put({"model.safetensors": b"any"})
    world.timers.end()
    world.put({"model.onnx": BODY})
    assert [one.code for one in world.timers.end()] == [None], "the other file was told of"
    assert world.latest() == 1
