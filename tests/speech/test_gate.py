"""Packages of speech: what Optimum writes passes as it is, and what does not hold together is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from amaas.api import package

from shared.ingest import decoder_graph
from shared.ingest.candidate import Candidate, Rejected, check_package
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.package.speech import Transcription
from shared.serving.forms import WEIGHTS
from tests.speech import folders, tokens

Check = Callable[..., Candidate]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The gate's candidate of a folder, as `amaas push` sends it. changes: members of amaas.json. Raises Rejected."""

    def checked(folder: Path, **changes: Any) -> Candidate:
        room = tmp_path / "gate"
        room.mkdir()
        with package.opened(folder) as files:
            declared = json.loads(files["amaas.json"].read_text())
            for member, values in changes.items():
                declared[member] = {**declared.get(member, {}), **values} if isinstance(values, dict) else values
            described = manifest.decode(json.dumps(declared).encode(), check_names=True)
            return check_package("tiny", described, files, Limits(), room)

    return checked


@pytest.mark.parametrize(("form", "inner"), [("merged", "onnx"), ("two", ".")])
def test_exports_pass_as_they_are(check: Check, tmp_path: Path, form: str, inner: str) -> None:
    candidate = check(folders.write(tmp_path / "model", form, inner))
    plan = candidate.manifest.postprocess
    assert isinstance(plan, Transcription) and plan.languages == {"en": tokens.EN, "de": tokens.DE}
    assert (plan.start, plan.end, plan.previous, plan.no_speech) == (100, 99, 106, 107) and plan.timestamps
    facts = (candidate.manifest.gate or {})["generation"]
    assert facts["vocabulary"] == 160 and facts["rehearsed"] == 16 and facts["difference"] < 1e-4
    beside = {"encoder.onnx", "tokenizer.json"} | ({"model_with_past.onnx"} if form == "two" else set())
    assert set(candidate.files) == beside
    assert candidate.size > 900_000


def test_weights_inside_of_large_graphs_are_put_into_one_file(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders.write(tmp_path / "model")
    for name in ("encoder_model", "decoder_model_merged"):
        model = onnx.load(folder / f"{name}.onnx")
        filler = np.zeros(decoder_graph.MOST_INSIDE + 1, np.uint8)  # what makes it large: nothing reads it
        model.graph.initializer.append(onnx.numpy_helper.from_array(filler, "filler"))
        onnx.save(model, folder / f"{name}.onnx")
    candidate = check(folder)
    assert isinstance(candidate.model, bytes) and len(candidate.model) < 1 << 20
    assert isinstance(encoder := candidate.files["encoder.onnx"], bytes) and len(encoder) < 1 << 20
    assert candidate.files[WEIGHTS].stat().st_size > 32 << 20, "of both"  # type: ignore[union-attr]


def test_weights_in_files_of_any_name_go_with_their_graphs(check: Check, tmp_path: Path) -> None:
    names = {"encoder_model": "ears.bin", "decoder_model_merged": "x" * 140}
    candidate = check(folders.own_names(folders.write(tmp_path / "model"), names))
    assert set(candidate.files) == {"encoder.onnx", "tokenizer.json", *names.values()}
    assert candidate.size > 900_000


@pytest.mark.parametrize("taken", ["tokenizer.json", "encoder.onnx"])
def test_weights_in_a_file_that_is_something_else_are_refused(check: Check, tmp_path: Path, taken: str) -> None:
    folder = folders.write(tmp_path / "model")
    model = onnx.load(folder / "decoder_model_merged.onnx")
    weight = next(one for one in model.graph.initializer if len(one.raw_data) > 64)
    size = len(weight.raw_data)
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " " * size)
    shutil.copy(folder / "encoder_model.onnx", folder / "encoder.onnx")
    onnx.external_data_helper.set_external_data(weight, taken, offset=0, length=size)
    weight.ClearField("raw_data")
    (folder / "decoder_model_merged.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(Rejected, match=f"weights in {taken}, which is something else") as caught:
        check(folder)
    assert caught.value.code == "external_data"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"postprocess": {"languages": {"en": 160}}}, "bad_manifest", "160"),
        ({"postprocess": {"no_timestamps": 159}}, "bad_manifest", "no tokens of times"),
        ({"preprocess": {"mels": 128}}, "bad_manifest", "128"),
        ({"preprocess": {"seconds": 30.0}}, "bad_manifest", "3,000"),
        ({"postprocess": {"context": 100_000}}, "accepted", ""),
        ({"golden": {"cases": []}}, "golden_invalid", "golden"),
    ],
)
def test_what_does_not_hold_together_is_refused(
    check: Check, tmp_path: Path, changes: dict[str, Any], code: str, words: str
) -> None:
    folder = folders.write(tmp_path / "model")
    if code == "accepted":  # the graph's own table ends a text that goes on for too long: an error, and no crash
        assert check(folder, **changes)
        return
    with pytest.raises(Rejected, match=words) as caught:
        check(folder, **changes)
    assert caught.value.code == code


def test_a_tokenizer_of_another_model_is_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    larger = tokens.tokenizer()
    larger.add_tokens(["<more>"])
    (folder / "tokenizer.json").write_text(larger.to_str())
    with pytest.raises(Rejected, match="161 tokens and the model 160"):
        check(folder)


def test_caches_that_are_not_connected_as_they_are_named_are_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model", "two")
    path = folder / "decoder_with_past_model.onnx"
    model = onnx.load(path)
    crossed = {"present.0.decoder.key": "present.1.decoder.key", "present.1.decoder.key": "present.0.decoder.key"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [crossed.get(name, name) for name in names]
    onnx.save(model, path)
    with pytest.raises(Rejected) as caught:
        check(folder)
    assert caught.value.code == "cache_mismatch"


def test_an_encoder_of_another_model_is_refused(check: Check, tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "model")
    (folder / "encoder_model.onnx").write_bytes((folder / "decoder_model_merged.onnx").read_bytes())
    with pytest.raises(Rejected, match="the encoder takes"):
        check(folder)
