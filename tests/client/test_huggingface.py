"""A language model's folder, as exporters leave it, becomes a package: what is sent, and what is derived of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from amaas.api import huggingface, package
from amaas.errors import AmaasError

TOKENS = {"added_tokens": [{"id": 7, "content": "<|end|>"}, {"id": 1, "content": "<s>"}]}
CONFIG = {"num_attention_heads": 8, "hidden_size": 512, "max_position_embeddings": 2048, "eos_token_id": 2}


def folder(path: Path, **files: Any) -> Path:
    """files: names with `__` for the dot; texts, or objects as JSON. An ONNX file of no content is put beside them."""
    path.mkdir(parents=True, exist_ok=True)
    files = {"tokenizer__json": TOKENS, "config__json": CONFIG, "model__onnx": "graph"} | files
    for name, content in files.items():
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (path / name.replace("__", ".")).write_text(text)
    return path


def derived(path: Path) -> dict[str, Any]:
    return huggingface.derive(path)[0]


def test_what_config_json_says(tmp_path: Path) -> None:
    after = derived(folder(tmp_path))["postprocess"]
    assert after == {"ends": [2], "heads": 8, "width": 64, "context": 2048, "temperature": 0.0}


@pytest.mark.parametrize(
    ("config", "members"),
    [
        ({"num_key_value_heads": 2, "head_dim": 128}, {"heads": 2, "width": 128}),
        ({"sliding_window": 512}, {"window": 512}),
        ({"sliding_window": 512, "use_sliding_window": False}, {"window": None}),
        ({"sliding_window": 512, "layer_types": ["full_attention", "sliding_attention"]}, {"window": None}),
        ({"eos_token_id": [2, 3]}, {"ends": [2, 3]}),
        ({"eos_token_id": None}, {"ends": []}),
        ({"text_config": {**CONFIG, "max_position_embeddings": 99}}, {"context": 99}),
    ],
)
def test_forms_of_config_json(tmp_path: Path, config: dict[str, Any], members: dict[str, Any]) -> None:
    after = derived(folder(tmp_path, config__json={**CONFIG, **config}))["postprocess"]
    assert {name: after.get(name) for name in members} == members


def test_gpt2_s_names(tmp_path: Path) -> None:
    config = {"n_head": 4, "n_embd": 64, "n_positions": 128}
    after = derived(folder(tmp_path, config__json=config))["postprocess"]
    assert (after["heads"], after["width"], after["context"]) == (4, 16, 128)


def test_generation_config_says_how_to_sample(tmp_path: Path) -> None:
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "eos_token_id": [2, 5]}
    after = derived(folder(tmp_path, generation_config__json=sampling))["postprocess"]
    assert (after["temperature"], after["top_p"], after["top_k"], after["ends"]) == (0.6, 0.9, 20, [2, 5])
    greedy = derived(folder(tmp_path, generation_config__json={"temperature": 0.6}))["postprocess"]
    assert greedy["temperature"] == 0.0, "it says not to sample"


def test_the_tokenizer_s_end_is_an_end_too(tmp_path: Path) -> None:
    tokens = {"eos_token": {"content": "<|end|>"}, "bos_token": "<s>"}
    described = derived(folder(tmp_path, tokenizer_config__json=tokens))
    assert described["postprocess"]["ends"] == [2, 7]
    assert described["preprocess"]["special"] == {"bos_token": "<s>", "eos_token": "<|end|>"}


@pytest.mark.parametrize(
    "files",
    [
        {"chat_template__jinja": "{{ x }}<tool_call>"},
        {"tokenizer_config__json": {"chat_template": "{{ x }}<tool_call>"}},
        {"tokenizer_config__json": {"chat_template": [{"name": "default", "template": "{{ x }}<tool_call>"}]}},
        {"chat_template__json": {"chat_template": "{{ x }}<tool_call>"}},
    ],
)
def test_a_chat_template_wherever_it_is(tmp_path: Path, files: dict[str, Any]) -> None:
    with package.opened(folder(tmp_path, **files)) as sent:
        assert sent["chat_template.jinja"].read_text() == "{{ x }}<tool_call>"
        before = json.loads(sent["amaas.json"].read_text())["preprocess"]
    assert before["template"] == "chat_template.jinja" and before["tools"][0] == "<tool_call>\n"


def test_genai_s_folder(tmp_path: Path) -> None:
    decoder = {"num_key_value_heads": 3, "head_size": 64}
    genai = {"model": {"context_length": 8192, "eos_token_id": [2], "decoder": decoder}, "search": {"do_sample": False}}
    after = derived(folder(tmp_path, config__json=None, genai_config__json=genai))["postprocess"]
    assert after == {"ends": [2], "heads": 3, "width": 64, "context": 8192, "temperature": 0.0}


def test_card_and_licence(tmp_path: Path) -> None:
    described = derived(folder(tmp_path, README__md="---\nlicense: apache-2.0\n---\n# A model\n"))
    assert described["licence"] == "apache-2.0" and "# A model" in described["card"]


def test_weights_go_with_their_graph_and_no_others(tmp_path: Path) -> None:
    path = folder(tmp_path, model__onnx=None)
    onnx = path / "onnx"
    onnx.mkdir()
    for name in (
        "model_q4.onnx",
        "model_q4.onnx_data",
        "model_q4.onnx_data_1",
        "model_fp16.onnx",
        "model_fp16.onnx_data",
    ):
        (onnx / name).write_text(name)
    with package.opened(path, "onnx/model_q4.onnx") as sent:
        assert sent["model.onnx"].read_text() == "model_q4.onnx"
        assert set(sent) == {
            "model.onnx", "amaas.json", "tokenizer.json", "model_q4.onnx_data", "model_q4.onnx_data_1",
        }  # fmt: skip
    with pytest.raises(AmaasError, match=r"--graph: onnx/model_fp16\.onnx, onnx/model_q4\.onnx"):
        huggingface.graph(path)
    with pytest.raises(AmaasError, match="does not exist: there are onnx/"):
        huggingface.graph(path, "model.onnx")


def test_a_folder_without_onnx_says_how_to_export(tmp_path: Path) -> None:
    with pytest.raises(AmaasError, match=r"onnxruntime_genai\.models\.builder"):
        huggingface.graph(folder(tmp_path, model__onnx=None))


def test_what_amaas_json_says_goes_before(tmp_path: Path) -> None:
    with package.opened(folder(tmp_path, amaas__json={"licence": "MIT", "name": "mine"})) as sent:
        described = json.loads(sent["amaas.json"].read_text())
        assert package.model_name(tmp_path, sent) == "mine"
    assert described["licence"] == "MIT" and described["task"] == "text-generation"


def test_damaged_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(AmaasError, match=r"generation_config\.json is not valid JSON"):
        derived(folder(tmp_path, generation_config__json="{"))


def test_other_folders_are_packages_as_before(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("graph")
    with package.opened(tmp_path) as sent:
        assert set(sent) == {"model.onnx"}
