"""Folders in Hugging Face's form become packages: all is derived, and the gate agrees."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaas import AmaasError
from amaas.api import conversion, package
from amaas.local import gate

from tests.client import hf_folders
from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.serving import packages

ROOT = Path(__file__).resolve().parents[2]
VIT = {"size": {"height": 8, "width": 8}, "resample": 3, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is this checkout's, wherever a process of its own begins."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'client'}:{ROOT}")
    monkeypatch.setattr(gate, "_place", lambda: gate.Place(sys.executable, [ROOT]))


def derived(folder: Path, notes: list[str] | None = None) -> dict[str, Any]:
    """The amaas.json that would be sent."""
    with package.opened(folder, note=(notes if notes is not None else []).append) as files:
        return package.manifest(files)


def registered(folder: Path) -> dict[str, Any]:
    """The manifest as the gate would have it registered."""
    with package.opened(folder) as files:
        manifest: dict[str, Any] = gate.check("m", files)["manifest"]
        return manifest


def test_texts_of_classes(tmp_path: Path) -> None:
    folder = hf_folders.texts(tmp_path / "topics", "BertForSequenceClassification", hf_folders.classifier())
    described = derived(folder)
    assert described == {
        "task": "text-classification",
        "preprocess": {"kind": "text", "tokenizer": "tokenizer.json", "max_length": 32},
        "labels": ["sports", "politics"],
    }
    found = registered(folder)
    assert found["gate"]["golden"]["cases"] == 3 and found["labels"] == ["sports", "politics"]


def test_names_in_texts(tmp_path: Path) -> None:
    graph = hf_folders.classifier(tokens=True)
    folder = hf_folders.texts(tmp_path / "names", "RobertaForTokenClassification", graph)
    assert derived(folder)["task"] == "token-classification"
    assert registered(folder)["gate"]["golden"]["passed"]


@pytest.mark.parametrize(
    ("files", "after", "said"),
    [
        ({}, {"pooling": "mean", "output": "hidden"}, True),
        (
            {
                "modules__json": [{"type": "sentence_transformers.models.Transformer"}, {"type": "a.Pooling"}],
                "1_Pooling___config__json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            },
            {"pooling": "first", "output": "hidden", "normalize": False},
            False,
        ),
        (
            {"modules__json": [{"type": "a.Normalize"}], "1_Pooling___config__json": {"pooling_mode": "lasttoken"}},
            {"pooling": "last", "output": "hidden"},
            False,
        ),
    ],
)
def test_vectors_of_texts(tmp_path: Path, files: dict[str, Any], after: dict[str, Any], said: bool) -> None:
    folder = hf_folders.texts(tmp_path / "vectors", "BertModel", packages.lookup(4), **files)
    notes: list[str] = []
    described = derived(folder, notes)
    assert described["task"] == "embedding" and described["postprocess"] == after and "labels" not in described
    assert any("mean is taken" in note for note in notes) == said
    assert registered(folder)["gate"]["golden"]["passed"]


def test_prompts_and_bounds_of_sentence_transformers(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    folder = hf_folders.texts(
        tmp_path / "e5",
        "XLMRobertaModel",
        packages.lookup(4),
        config_sentence_transformers__json=prompts,
        sentence_bert_config__json={"max_seq_length": 16},
        **{"1_Pooling___config__json": {"pooling_mode_mean_tokens": True}},
    )
    before = derived(folder)["preprocess"]
    assert (before["prefix"], before["query_prefix"], before["max_length"]) == ("passage: ", "query: ", 16)


def test_what_a_graph_pools_itself_is_taken(tmp_path: Path) -> None:
    graph = hf_folders.classifier("sentence_embedding")
    folder = hf_folders.texts(tmp_path / "pooled", "BertModel", graph, modules__json=[{"type": "a.Dense"}])
    assert derived(folder)["postprocess"] == {"output": "sentence_embedding"}
    other = hf_folders.texts(tmp_path / "dense", "BertModel", packages.lookup(4), modules__json=[{"type": "a.Dense"}])
    with pytest.raises(AmaasError, match="--library sentence_transformers"):
        derived(other)


def test_a_roberta_has_two_positions_less(tmp_path: Path) -> None:
    config = {"architectures": ["RobertaForSequenceClassification"], "model_type": "roberta"}
    config |= {"max_position_embeddings": 514, "problem_type": "multi_label_classification"}  # type: ignore[dict-item]
    folder = hf_folders.texts(tmp_path / "r", "", hf_folders.classifier(), config__json=config)
    described = derived(folder)
    assert described["preprocess"]["max_length"] == 512 and described["postprocess"] == {"activation": "sigmoid"}
    assert "labels" not in described, "the folder names none"


@pytest.mark.parametrize(
    ("settings", "plan"),
    [
        (VIT, {"size": [8, 8], "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}),
        (
            {"size": {"shortest_edge": 12}, "do_center_crop": True, "crop_size": {"height": 8, "width": 8}},
            {"shorter": 12, "crop": [8, 8]},
        ),
        ({"size": {"shortest_edge": 8}, "crop_pct": 0.5, "do_normalize": False}, {"shorter": 16, "crop": [8, 8]}),
        ({"size": 12, "do_center_crop": True, "crop_size": 8, "resample": 2}, {"shorter": 12, "crop": [8, 8]}),
        ({"size": 8, "do_rescale": False}, {"size": [8, 8], "scale": 1.0}),
        ({"size": 8, "do_flip_channel_order": True}, {"size": [8, 8], "mode": "BGR"}),
    ],
)
def test_pictures_of_classes(tmp_path: Path, settings: dict[str, Any], plan: dict[str, Any]) -> None:
    folder = hf_folders.images(tmp_path / "pictures", "ViTForImageClassification", settings)
    described = derived(folder)
    before = described["preprocess"]
    assert {name: before.get(name) for name in plan} == plan
    assert described["task"] == "image-classification" and described["labels"] == ["sports", "politics"]
    assert registered(folder)["gate"]["golden"]["cases"] == 4


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"settings": {"size": {"longest_edge": 9}}}, "write preprocess into an amaas.json there"),
        ({"settings": {}}, "there is no preprocessor_config.json"),
        ({"settings": {"size": 8, "rescale_offset": True}}, "has settings that are not derived"),
    ],
)
def test_pictures_whose_settings_say_too_little(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    folder = hf_folders.images(tmp_path / "pictures", "ViTForImageClassification", files["settings"])
    with pytest.raises(AmaasError, match=said):
        derived(folder)
    own = {"preprocess": {"size": [8, 8]}}
    (folder / "amaas.json").write_text(json.dumps(own))
    assert derived(folder)["preprocess"] == own["preprocess"], "what the author says need not be derived"


def test_a_folder_s_own_amaas_json_wins(tmp_path: Path) -> None:
    own = {"name": "mine", "labels": ["a", "b"], "licence": "MIT"}
    folder = hf_folders.texts(tmp_path / "f", "BertForSequenceClassification", hf_folders.classifier(), amaas__json=own)
    described = derived(folder)
    assert (described["labels"], described["name"], described["task"]) == (["a", "b"], "mine", "text-classification")
    (folder / "amaas.json").write_text(json.dumps({"task": "tensor"}))
    assert derived(folder) == {"task": "tensor"}, "of another task, nothing derived would fit"


def test_a_golden_set_is_derived_beside_an_amaas_json_of_ones_own(tmp_path: Path) -> None:
    own = {"name": "mine", "preprocess": {"tokenizer": "words.json", "max_length": 16}, "labels": ["a", "b"]}
    words = packages.tokenizer().to_str()
    graph = hf_folders.classifier()
    folder = hf_folders.texts(
        tmp_path / "f", "BertForSequenceClassification", graph, amaas__json=own, words__json=words
    )
    found = registered(folder)
    assert found["gate"]["golden"]["cases"] == 3 and found["labels"] == ["a", "b"]
    with package.opened(folder) as sent:
        assert {"words.json", "golden.npz"} <= set(sent)
    images = hf_folders.images(tmp_path / "i", "ViTForImageClassification", VIT)
    (images / "amaas.json").write_text(json.dumps({"preprocess": {"size": [8, 8]}, "labels": ["dark", "bright"]}))
    assert registered(images)["gate"]["golden"]["cases"] == 4
    brought = {"input.input_ids": np.ones((1, 3), np.int64), "input.attention_mask": np.ones((1, 3), np.int64)}
    np.savez(folder / "golden.npz", **brought)  # type: ignore[arg-type]
    with package.opened(folder) as sent:
        assert sent["golden.npz"] == folder / "golden.npz", "the one that is there goes"


def test_no_graph_and_no_tokenizer_are_said(tmp_path: Path) -> None:
    folder = hf_folders.texts(tmp_path / "f", "BertForSequenceClassification", hf_folders.classifier())
    (folder / "tokenizer.json").unlink()
    with pytest.raises(AmaasError, match=r"there is no tokenizer.json"):
        derived(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(AmaasError, match=r"without ONNX: export it first, as by `optimum-cli export onnx"):
        derived(folder)


def test_without_onnxruntime_there_is_no_golden_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    monkeypatch.setattr(conversion, "_of_checkout", lambda: None)
    folder = hf_folders.texts(tmp_path / "f", "BertForSequenceClassification", hf_folders.classifier())
    notes: list[str] = []
    derived(folder, notes)
    [note] = notes
    assert note.startswith("it goes without a golden set, which `make converters` in a checkout, or pip")


def test_print_sends_nothing(run: Run, service: Service, tmp_path: Path) -> None:
    folder = hf_folders.texts(tmp_path / "topics", "BertForSequenceClassification", hf_folders.classifier())
    done = run("push", str(folder), "--print")
    assert done.exit_code == 0 and json.loads(done.stdout)["labels"] == ["sports", "politics"]
    assert not service.calls
    state = json.loads(run("push", str(folder), "--json").stdout)
    assert state["model"] == "topics" and sorted(service.sent_files()) == [
        *("amaas.json", "golden.npz", "model.onnx", "tokenizer.json"),
    ]
    golden = np.load(tmp_path / "topics" / "golden.npz") if (folder / "golden.npz").exists() else None
    assert golden is None, "the folder itself stays as it is"


def test_print_of_a_graph_alone_says_what_it_will_be(run: Run, service: Service, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(hf_folders.classifier())
    done = run("push", "net.onnx", "--print")
    assert json.loads(done.stdout) == {"name": "net", "task": "tensor"} and "`amaas init net.onnx`" in done.stderr
    assert json.loads(run("push", "net.onnx", "--print", "--model", "mine").stdout)["name"] == "mine"
    assert json.loads(run("push", "net.onnx", "--json").stdout)["model"] == "net"
    assert json.loads(run("show", "net@1", "--json").stdout)["task"] == "tensor"


def test_two_towers_are_zero_shot_classification(tmp_path: Path) -> None:
    config = {"architectures": ["CLIPModel"], "model_type": "clip", "text_config": {"max_position_embeddings": 16}}
    settings = {"size": {"shortest_edge": 4}, "do_center_crop": True, "crop_size": {"height": 4, "width": 4}}
    files = {"config__json": config, "preprocessor_config__json": settings}
    folder = hf_folders.texts(tmp_path / "clip", "", packages.towers(), **files)
    described = derived(folder)
    assert described["postprocess"] == {
        "kind": "similarity",
        "text": {"tokenizer": "tokenizer.json", "max_length": 16},
    }
    with package.opened(folder) as sent:
        assert set(sent) == {"model.onnx", "amaas.json", "tokenizer.json"}
    assert registered(folder)["task"] == "zero-shot-classification"
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "siglip"}))
    after = derived(folder)["postprocess"]
    assert after["multi_label"] and after["text"]["padding"] == "max_length"


@pytest.mark.parametrize("damage", [{"id2label": {"a": "b"}}, {"id2label": ["a"]}, {"id2label": {"1": "b"}}])
def test_labels_that_are_not_numbered_are_left_out(tmp_path: Path, damage: dict[str, Any]) -> None:
    config = {"architectures": ["BertForSequenceClassification"], **damage}
    assert "labels" not in derived(hf_folders.texts(tmp_path / "f", "", hf_folders.classifier(), config__json=config))


@pytest.mark.parametrize("said", [{"architectures": 7}, {"architectures": "Bert"}, {"architectures": []}, []])
def test_a_folder_that_says_no_class_is_a_language_model_s_as_before(tmp_path: Path, said: Any) -> None:
    folder = hf_folders.texts(tmp_path / "f", "", hf_folders.classifier(), config__json=said)
    assert derived(folder)["task"] == "text-generation"
