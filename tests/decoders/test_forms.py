"""Language models in fewer bits: what comes out is a folder like the one that went in, and passes the gate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from amaas.api import package
from amaas.cli.app import main
from click.testing import CliRunner

from shared.ingest.candidate import Candidate, check_package
from shared.ingest.verdict import Limits
from shared.package import manifest
from tests.decoders import folders
from training.language import __main__ as command

NAMES = ("llama-genai", "llama-optimum", "gpt2-optimum", "llama-merged", "llama-genai-fp16", "mistral-genai")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def written(name: str = "llama-genai", **more: Any) -> Path:
        heads = 4 if name.startswith("gpt2") else 2
        return folders.write(tmp_path / "float", name, num_key_value_heads=heads, **more)

    return written


def made(folder: Path, out: Path, *options: str) -> dict[str, Any]:
    """The report's rows, by the form's name."""
    assert command.main([str(folder), "--out", str(out), "--floor", "0.9", *options]) == 0
    return {row["step"]: row for row in json.loads((out / "forms.json").read_text())["steps"]}


def gate(folder: Path, room: Path) -> Candidate:
    room.mkdir()
    with package.opened(folder) as files:
        described = manifest.decode(files["amaas.json"].read_bytes(), check_names=True)
        return check_package("tiny", described, files, Limits(), room)


@pytest.mark.parametrize("name", NAMES)
def test_eight_bits_pass_the_gate(folder: Callable[..., Path], tmp_path: Path, name: str) -> None:
    rows = made(folder(name), tmp_path / "out", "--steps", "weight8")
    assert rows["weight8"]["agreement"] >= 0.9 and rows["weight8"]["divergence"] < 0.01
    form = tmp_path / "out" / "weight8"
    operators = {node.op_type for node in all_nodes(onnx.load(form / "model.onnx").graph)}
    assert "MatMulNBits" in operators
    candidate = gate(form, tmp_path / "gate")
    golden = (candidate.manifest.gate or {})["golden"]
    assert golden["passed"] and golden["cases"] == 20 and golden["agreed"] >= 0.85
    lineage = candidate.manifest.lineage
    assert lineage is not None and lineage.step == "quantize" and (lineage.parent or "").startswith("float@sha256:")
    assert lineage.details["figures"]["after"]["agreed"] == rows["weight8"]["agreed"]


def all_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    inner = [one for node in graph.node for value in node.attribute for one in all_nodes(value.g)]
    return [*graph.node, *inner]


def test_weights_are_smaller_and_a_tied_table_is_there_once(folder: Callable[..., Path], tmp_path: Path) -> None:
    rows = made(folder("gpt2-optimum"), tmp_path / "out", "--steps", "weight8", "weight4", "--floor", "0.1")
    inside = 150_000  # bytes of the graph itself, about
    sizes = [rows[name]["size"] - inside for name in ("weight4", "weight8", "parent")]
    assert sizes[0] < 0.7 * sizes[1] and sizes[1] < 0.4 * sizes[2]
    graph = onnx.load(tmp_path / "out" / "weight8" / "model.onnx", load_external_data=False).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    place = [
        {entry.key: entry.value for entry in tensors[f"transformer.wte.weight.{kind}"].external_data}
        for kind in ("q8", "rows")
    ]
    assert place[0] == place[1] and "transformer.wte.weight" not in tensors


def test_normalizations_take_scales_where_nothing_else_reads_them(folder: Callable[..., Path], tmp_path: Path) -> None:
    made(folder(), tmp_path / "out", "--steps", "weight8")
    nodes = onnx.load(tmp_path / "out" / "weight8" / "model.onnx").graph.node
    assert sum(node.op_type == "Mul" and ".divided." in node.output[0] for node in nodes) == 4, "of o_proj, down_proj"
    assert sum(name.endswith(".weights") for node in nodes for name in node.input) == 5


def test_what_is_below_the_floor_is_refused_with_its_numbers(
    folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(folder()), "--out", str(tmp_path / "out"), "--steps", "weight4", "--floor", "0.99"]
    assert command.main(arguments) == 1
    said = capsys.readouterr().err
    assert "tokens agree with the float model" in said and "floor of 99.0%" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float"], "nothing is left"


def test_of_all_forms_those_that_are_good_enough_stay(folder: Callable[..., Path], tmp_path: Path) -> None:
    rows = made(folder(), tmp_path / "out")
    assert rows["weight8"]["refused"] is None and "floor" in rows["weight4"]["refused"]
    assert not (tmp_path / "out" / "weight4").exists()
    assert (tmp_path / "out" / "weight8" / "tokenizer.json").read_bytes() == (
        tmp_path / "float" / "tokenizer.json"
    ).read_bytes()


def test_weights_in_the_graph_or_in_two_files_come_into_one(folder: Callable[..., Path], tmp_path: Path) -> None:
    for files in (0, 2):
        out = tmp_path / f"out{files}"
        made(folder(files=files), out, "--steps", "weight8")
        names = sorted(path.name for path in (out / "weight8").glob("model*"))
        assert names == ["model.onnx", "model.onnx.data"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(b"nothing"), "not an ONNX model"),
        (lambda folder: (folder / "model.onnx_data").write_bytes(b"short"), "beyond the end"),
        (lambda folder: (folder / "model.onnx_data").unlink(), "is not there"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "no tokenizer"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no language model"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{% if %}"), "chat template"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{{ messages.x.y }}"), "chat template"),
    ],
)
def test_damage_is_told(
    folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, reason: str
) -> None:
    path = folder()
    damage(path)
    assert command.main([str(path), "--out", str(tmp_path / "out")]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_quantized_is_not_quantized_again(
    folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(folder(), tmp_path / "out", "--steps", "weight8")
    assert command.main([str(tmp_path / "out" / "weight8"), "--out", str(tmp_path / "again")]) == 1
    assert "quantized already" in capsys.readouterr().err


def test_the_command_line_makes_a_folder_to_push(folder: Callable[..., Path], tmp_path: Path) -> None:
    path, out = folder(), tmp_path / "out"
    arguments = ["optimize", str(path), "--steps", "weight8", "--floor", "0.9", "--out", str(out)]
    done = CliRunner().invoke(main, [*arguments, "--python", sys.executable], catch_exceptions=False)
    assert done.exit_code == 0 and f"amaas push {out}" in done.stdout.replace("\n", "")
    refused = [*arguments[:-2], "--out", str(tmp_path / "other"), "--python", sys.executable, "--floor", "0.999"]
    assert CliRunner().invoke(main, refused, catch_exceptions=False).exit_code == 1
    assert not (tmp_path / "other").exists()


def test_options_of_folders_are_refused_for_models() -> None:
    done = CliRunner().invoke(main, ["optimize", "wide", "--floor", "0.9"], catch_exceptions=False)
    assert done.exit_code == 2 and "language model's folder" in done.stderr
