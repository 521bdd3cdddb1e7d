"""Packages that generate text: what exporters write passes as it is, and what does not hold together is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from amaas.api import package
from onnx import TensorProto, helper

from shared.ingest.candidate import Candidate, Rejected, check_package
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.runtime.zygotes import MOST_FILES
from shared.serving.forms import WEIGHTS
from shared.uploads import sessions
from tests.decoders import folders
from tests.decoders.test_decoder import MODELS

EXPORTS = sorted(path.stem for path in MODELS.glob("*.onnx"))
Check = Callable[..., Candidate]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The gate's candidate of a folder, as `amaas push` sends it. changes: members of amaas.json. Raises Rejected.

    other: a graph in place of its own, which push would not have sent.
    """

    def checked(folder: Path, limits: Limits | None = None, other: Path | None = None, **changes: Any) -> Candidate:
        room = tmp_path / "gate"
        room.mkdir()
        with package.opened(folder) as files:
            declared = json.loads(files["amaas.json"].read_text())
            for member, values in changes.items():
                declared[member] = {**declared.get(member, {}), **values} if isinstance(values, dict) else values
            described = manifest.decode(json.dumps(declared).encode(), check_names=True)
            sent = {**files, "model.onnx": other or files["model.onnx"]}
            return check_package("tiny", described, sent, limits or Limits(), room)

    return checked


@pytest.mark.parametrize("name", EXPORTS)
def test_exports_pass_as_they_are(check: Check, tmp_path: Path, name: str) -> None:
    heads = 4 if name.startswith("gpt2") else 2
    candidate = check(folders.write(tmp_path / "model", name, num_key_value_heads=heads))
    generation = (candidate.manifest.gate or {})["generation"]
    assert generation["vocabulary"] == 96 and generation["context"] == 128 and generation["grammars"]
    assert generation["rehearsed"] == 16 and generation["difference"] < 0.01
    assert [tensor.name for tensor in candidate.manifest.inputs] == ["text_input"]
    assert "model.onnx_data" in candidate.files and isinstance(candidate.files["model.onnx_data"], Path)
    assert candidate.size > candidate.files["model.onnx_data"].stat().st_size


def test_weights_in_several_files_stay_there(check: Check, tmp_path: Path) -> None:
    candidate = check(folders.write(tmp_path / "model", files=3))
    names = {"model.onnx_data", "model.onnx_data_1", "model.onnx_data_2", "tokenizer.json", "chat_template.jinja"}
    assert set(candidate.files) == names


def test_weights_inside_of_a_large_file_are_put_beside_it(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders.write(tmp_path / "model", files=0)
    model = onnx.load(folder / "model.onnx")
    filler = np.zeros(20 << 20, np.uint8)  # what makes it large: nothing reads it
    model.graph.initializer.append(onnx.numpy_helper.from_array(filler, "filler"))
    onnx.save(model, folder / "model.onnx")
    candidate = check(folder)
    assert isinstance(candidate.model, bytes) and len(candidate.model) < 1 << 20
    assert candidate.files[WEIGHTS].stat().st_size > 20 << 20, "all weights, and each once"  # type: ignore[union-attr]
    assert any("weights: put into a file" in change for change in changes_of(candidate))


def changes_of(candidate: Candidate) -> list[str]:
    changes: list[str] = (candidate.manifest.gate or {})["optimization"]["normalized"]
    return changes


def test_a_window_that_only_the_config_knows_is_put_into_the_graph(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model", "mistral-genai", sliding_window=16)
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "local_window_size":
                attribute.i = -1  # as the exporter leaves it
    onnx.save(model, folder / "model.onnx")
    candidate = check(folder)
    assert "2 attentions look back on 16 tokens, as config.json has it" in changes_of(candidate)


def refused(check: Check, folder: Path, **changes: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        check(folder, **changes)
    return caught.value


def test_a_tokenizer_of_another_model_is_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    (folder / "tokenizer.json").write_text(folders.tokenizer(more=10).to_str())
    error = refused(check, folder)
    assert error.code == "bad_tokenizer" and "106 tokens and the model 96" in str(error)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "out of fuel"),
        ("{{ messages.__class__ }}", "no tokens"),
        ("{{ messages.__class__.__mro__ }}", "undefined"),
        ("{{ raise_exception('never') }}", "never"),
        ("x" * 1_000_000, "65536"),
        ("{{ 'x' * 3000000000 }}", "memory|characters|cannot be used"),
        ("", "tokens"),
    ],
)
def test_a_hostile_template_is_refused(check: Check, tmp_path: Path, template: str, reason: str) -> None:
    folder = folders.write(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template or "{# nothing #}")
    error = refused(check, folder)
    assert error.code in ("bad_template", "memory_limit", "bad_tokenizer")
    assert any(word in str(error) for word in reason.split("|"))


def test_lying_extents_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    data = folder / "model.onnx_data"
    data.write_bytes(data.read_bytes()[:-64])
    error = refused(check, folder)
    assert error.code == "external_data" and "beyond the end" in str(error)


def test_weights_of_another_place_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    weight = next(one for one in model.graph.initializer if one.external_data)
    weight.external_data[0].value = "/etc/passwd"
    onnx.save(model, tmp_path / "other.onnx")
    error = refused(check, folder, other=tmp_path / "other.onnx")
    assert error.code == "external_data" and "not a file of the package" in str(error)


def test_weights_in_a_file_that_is_something_else_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    data, tokens = folder / "model.onnx_data", folder / "tokenizer.json"
    size = tokens.stat().st_size
    tokens.write_bytes(tokens.read_bytes() + b" " * (data.stat().st_size + size))
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for weight in model.graph.initializer:
        for entry in weight.external_data:
            if entry.key == "location":
                entry.value = "tokenizer.json"
    onnx.save(model, folder / "model.onnx")
    error = refused(check, folder)
    assert error.code == "external_data" and "is something else in the package" in str(error)


def test_more_files_than_serving_takes_are_refused(check: Check, tmp_path: Path) -> None:
    """An upload has at most 16: so this is the second door."""
    assert sessions.MAX_FILES + len([WEIGHTS]) <= MOST_FILES
    folder = folders.write(tmp_path / "model")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for number in range(MOST_FILES):
        filler = onnx.numpy_helper.from_array(np.zeros(32, np.float32), f"filler {number}")
        onnx.external_data_helper.set_external_data(filler, f"model.onnx_data_{number}", offset=0, length=128)
        filler.ClearField("raw_data")
        model.graph.initializer.append(filler)
        (folder / f"model.onnx_data_{number}").write_bytes(bytes(128))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    error = refused(check, folder)
    assert error.code == "too_many_files" and "65 files, more than the 64" in str(error)


def test_ends_and_contexts_of_another_model_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    assert "postprocess.ends has 96" in str(refused(check, folder, postprocess={"ends": [96]}))


def test_a_context_that_holds_no_message_is_refused(check: Check, tmp_path: Path) -> None:
    error = refused(check, folders.write(tmp_path / "model", context=16))
    assert error.code in ("bad_manifest", "generation_failed") and "16" in str(error)


def test_caches_that_are_not_connected_as_they_are_named_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model", "llama-optimum")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    crossed = {"present.0.key": "present.1.key", "present.1.key": "present.0.key"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [crossed.get(name, name) for name in names]
    onnx.save(model, folder / "model.onnx")
    assert refused(check, folder).code == "cache_mismatch"


def test_products_of_eight_bits_that_processors_cut_off_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    number = helper.make_tensor("eight", TensorProto.INT8, [1, 1], [1])
    model.graph.initializer.append(number)
    model.graph.node.append(helper.make_node("MatMulInteger", ["eight", "eight"], ["product"]))
    onnx.save(model, folder / "model.onnx")
    error = refused(check, folder)
    assert error.code == "operator_not_allowed" and "model_q4.onnx" in str(error)


def test_a_golden_set_is_a_share_of_tokens(check: Check, tmp_path: Path) -> None:
    reference = np.load(MODELS / "llama.npz")
    tokens, logits = reference["tokens"].tolist(), reference["logits"]
    case = {"inputs": {"tokens": tokens[:20]}, "outputs": {"tokens": [int(logits[19].argmax())]}}
    folder = folders.write(tmp_path / "model")
    candidate = check(folder, golden={"cases": [case]})
    assert (candidate.manifest.gate or {})["golden"] == {"cases": 1, "tokens": 1, "agreed": 1.0, "passed": True}


@pytest.mark.parametrize(
    ("case", "code", "reason"),
    [
        ({"inputs": {"tokens": [5, 6]}, "outputs": {"tokens": [7, 7, 7, 7]}}, "golden_mismatch", "97.0%"),
        ({"inputs": {"text": "hi"}, "outputs": {"logits": [1]}}, "golden_invalid", "lists of numbers"),
        ({"inputs": {}, "outputs": {"tokens": [1]}}, "golden_invalid", "case 0"),
        ({"inputs": {"tokens": [5]}, "outputs": {"tokens": []}}, "golden_invalid", "no tokens"),
        ({"inputs": {"tokens": [500]}, "outputs": {"tokens": [1]}}, "generation_failed", "vocabulary"),
    ],
)
def test_a_golden_set_that_does_not_agree_is_refused(
    check: Check, tmp_path: Path, case: dict[str, Any], code: str, reason: str
) -> None:
    error = refused(check, folders.write(tmp_path / "model"), golden={"cases": [case]})
    assert error.code == code and reason in str(error)


def test_what_is_no_decoder_is_refused_by_name(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    node = helper.make_node("Identity", ["x"], ["logits"])
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    (folder / "model.onnx_data").unlink()
    error = refused(check, folder)
    assert error.code == "invalid_graph" and "decoder" in str(error)


def test_other_packages_do_not_store_what_earlier_releases_do_not_know() -> None:
    described = {"golden": {"cases": [{"inputs": {"x": [1]}, "outputs": {"y": [1]}}]}}
    stored = json.loads(manifest.encode(manifest.decode(json.dumps(described).encode())))
    assert set(stored["golden"]) == {"file", "cases", "rtol", "atol"}
    assert manifest.Golden().least_agreement == 0.97 and manifest.Golden(agree=0.9).least_agreement == 0.9
