"""`amaas init`: a first amaas.json of what the graph says and the author answers, which ingest takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from amaas.api import graph
from onnx import TensorProto, helper

from shared.package import manifest
from shared.values import declared
from tests.client import hf_folders
from tests.client.conftest import Run
from tests.support import linear, tiny_classifier


def model(inputs: list[tuple[str, int, list[Any]]], outputs: list[tuple[str, int, list[Any]]]) -> bytes:
    """A graph of that signature, which is not run."""
    infos = [[helper.make_tensor_value_info(*one) for one in side] for side in (inputs, outputs)]
    return helper.make_model(helper.make_graph([], "g", *infos)).SerializeToString()


SCHEMA = "amaas.schema.json"
FLOAT, INT64, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
IMAGE = model([("image", FLOAT, ["N", 3, 32, 48])], [("logits", FLOAT, ["N", 3])])
OPEN = model([("pixels", TensorProto.UINT8, ["N", "H", "W", 1])], [("logits", FLOAT, ["N", "C"])])
TOKENS = model([("input_ids", INT64, ["N", "T"]), ("attention_mask", INT64, ["N", "T"])], [("logits", FLOAT, ["N", 2])])
SKLEARN = model([("X", FLOAT, ["N", 2])], [("label", INT64, ["N"]), ("probabilities", FLOAT, ["N", 2])])
MIXED = model([("age", FLOAT, ["N", 1]), ("city", TEXT, ["N", 1])], [("y", FLOAT, ["N", 1])])


def written(folder: Path) -> dict[str, Any]:
    """The amaas.json, which ingest takes."""
    body = (folder / "amaas.json").read_bytes()
    declared.check(manifest.decode(body, check_names=True).preprocess)
    content: dict[str, Any] = json.loads(body)
    assert content.pop("$schema") == SCHEMA and (folder / SCHEMA).is_file()
    return content


def test_a_graphs_signature_is_what_onnx_reads() -> None:
    for raw in (IMAGE, OPEN, TOKENS, SKLEARN, MIXED, linear([[1.0], [2.0]]), tiny_classifier(3)):
        path = Path("m.onnx")
        path.write_bytes(raw)
        read = onnx.load_from_string(raw)
        found = graph.signature(path)
        assert found is not None
        weights = {tensor.name for tensor in read.graph.initializer}
        for tensors, infos in zip(found, (read.graph.input, read.graph.output), strict=True):
            expected = [
                (info.name, [d.dim_value if d.HasField("dim_value") else None for d in info.type.tensor_type.shape.dim])
                for info in infos
                if info.name not in weights
            ]
            assert [(tensor.name, tensor.shape) for tensor in tensors] == expected
    for raw in (b"", b"no model", b"\x3a\xff\xff\xff\x7f"):
        path.write_bytes(raw)
        assert graph.signature(path) is None


def test_an_images_model(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cats.onnx").write_bytes(IMAGE)
    done = run("init", "cats.onnx", "--labels", "a,b,c", "--pixels", "imagenet", "--yes")
    assert (done.exit_code, done.stdout) == (0, "cats/amaas.json is written; `amaas push cats` is next\n")
    assert written(tmp_path / "cats") == {
        "name": "cats",
        "task": "image-classification",
        "preprocess": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "labels": ["a", "b", "c"],
    }
    assert (tmp_path / "cats" / "model.onnx").read_bytes() == IMAGE


def test_what_the_graph_leaves_open_is_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(OPEN)
    (tmp_path / "names.txt").write_text("a\n\nb\n")
    done = run("init", "model.onnx", input="image-classification\n64x32\n0..255\nnames.txt\n")
    assert done.exit_code == 0, done.stderr
    assert written(tmp_path)["preprocess"] == {"mode": "L", "size": [64, 32], "layout": "NHWC", "scale": 1.0}
    assert written(tmp_path)["labels"] == ["a", "b"]


def test_a_text_model_needs_its_tokenizer(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mood"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(TOKENS)
    refused = run("init", "mood", "--yes")
    assert refused.exit_code == 1 and "tokenizer.json" in refused.stderr
    assert not (folder / "amaas.json").exists()
    (folder / "tokenizer.json").write_text("{}")
    assert run("init", "mood", "--yes").exit_code == 0
    assert written(folder)["preprocess"] == {"tokenizer": "tokenizer.json", "max_length": 512}
    again = run("init", "mood", "--yes")
    assert again.exit_code == 1 and "there already" in again.stderr


def test_a_table_of_a_csv_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "credit.onnx").write_bytes(SKLEARN)
    (tmp_path / "train.csv").write_text("age,amount,paid\n30,2.5,yes\n41,7,no\n")
    assert run("init", "credit.onnx", "--columns", "train.csv", "--labels", "no,yes", "--yes").exit_code == 0
    assert written(tmp_path / "credit") == {
        "name": "credit",
        "task": "tabular",
        "preprocess": {"columns": [{"name": "age"}, {"name": "amount"}], "target": "paid"},
        "postprocess": {"output": "probabilities"},
        "labels": ["no", "yes"],
    }


def test_columns_of_several_inputs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "price.onnx").write_bytes(MIXED)
    assert run("init", "price.onnx", "--yes", "--json").exit_code == 0
    assert written(tmp_path / "price")["preprocess"] == {"columns": [{"name": "age"}, {"name": "city", "type": "text"}]}
    assert written(tmp_path / "price")["task"] == "tabular-regression"


def test_a_folder_of_hugging_face_s_is_what_push_derives(run: Run, tmp_path: Path) -> None:
    folder = hf_folders.texts(tmp_path / "mood", "BertForSequenceClassification", hf_folders.classifier())
    (folder / "README.md").write_text("---\nlicense: mit\n---\nA card.")
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    pushed = json.loads(run("push", "mood", "--print").stdout)
    done = run("init", "mood")  # nobody answers: nothing is asked
    assert (done.exit_code, done.stdout) == (0, "mood/amaas.json is written; `amaas push mood` is next\n"), done.stderr
    described = written(folder)
    assert described == {
        "name": "mood",
        "task": "text-classification",
        "preprocess": {"kind": "text", "tokenizer": "tokenizer.json", "max_length": 32},
        "labels": ["sports", "politics"],
        "licence": "mit",
    }
    assert json.loads(run("push", "mood", "--print").stdout) == pushed | {"name": "mood", "$schema": SCHEMA}


def test_labels_that_a_folder_lacks_are_asked(run: Run, tmp_path: Path) -> None:
    config = {"architectures": ["BertForSequenceClassification"], "max_position_embeddings": 64}
    folder = hf_folders.texts(tmp_path / "mood", "", hf_folders.classifier(), config__json=config)
    few = run("init", "mood", input="bad\n")
    assert few.exit_code == 1 and "1 labels, and the model's output 2" in few.stderr
    assert not (folder / "amaas.json").exists()
    assert run("init", "mood", input="bad,good\n").exit_code == 0
    assert written(folder)["labels"] == ["bad", "good"] and written(folder)["preprocess"]["max_length"] == 64


def test_options_go_before_what_a_folder_says(run: Run, tmp_path: Path) -> None:
    settings = {"size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    folder = hf_folders.images(tmp_path / "photos", "ViTForImageClassification", settings)
    (folder / "small.onnx").write_bytes((folder / "model.onnx").read_bytes())
    done = run("init", "photos", "--pixels", "0..255", "--labels", "dark,bright", "--graph", "small.onnx")
    assert done.stdout.endswith("`amaas push photos --graph small.onnx` is next\n"), done.stderr
    described = written(folder)
    assert described["preprocess"] == {"kind": "image", "size": [8, 8], "scale": 1.0}
    assert described["labels"] == ["dark", "bright"]
    (folder / "amaas.json").unlink()
    assert run("init", "photos", "--task", "tensor", "--yes").exit_code == 0
    assert written(folder)["task"] == "tensor", "the author's word"


WIDE = model([("bytes", TensorProto.INT32, ["N", 2048])], [("scores", FLOAT, ["N", 3])])


def test_a_wide_vector_is_no_table_until_its_columns_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "magika.onnx").write_bytes(WIDE)
    assert run("init", "magika.onnx", "--yes").exit_code == 0
    assert written(tmp_path / "magika") == {"name": "magika", "task": "tensor"}
    names = [f"byte {number}" for number in range(2048)]
    (tmp_path / "files.onnx").write_bytes(WIDE)
    assert run("init", "files.onnx", "--yes", "--columns", ",".join(names)).exit_code == 0
    described = written(tmp_path / "files")
    assert described["task"] == "tabular" and [one["name"] for one in described["preprocess"]["columns"]] == names


@pytest.mark.parametrize(
    "arguments",
    [
        ["--task", "tabular"],
        ["--columns", ",".join(map(str, range(2000)))],
        ["--columns", ",".join(map(str, range(2050)))],
        ["--columns", ",".join(map(str, range(2050))), "--target", "y" * 3000],
        ["--task", "x" * 3000],
        ["--columns", ",".join(map(str, range(2048))), "--labels", ",".join("abcdefgh" * 500)],
    ],
)
def test_a_long_list_is_never_a_path_and_errors_stay_short(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "magika.onnx").write_bytes(WIDE)
    refused = run("init", "magika.onnx", "--yes", *arguments)
    assert refused.exit_code == 1 and refused.stderr.startswith("amaas: ") and len(refused.stderr) < 300
    assert "too long" not in refused.stderr and not (tmp_path / "magika").exists()


@pytest.mark.parametrize(
    ("raw", "arguments", "words"),
    [
        (IMAGE, ["--labels", "a,b"], "2 labels, and the model's output 3 scores"),
        (IMAGE, ["--task", "chairs"], "no task 'chairs'"),
        (IMAGE, ["--pixels", "bright"], "not 'bright'"),
        (SKLEARN, ["--columns", "a"], "names 1 columns, the model takes 2"),
        (SKLEARN, ["--columns", "a,b,c,d"], "without 'd' there are 3 columns, and the model takes 2"),
        (SKLEARN, ["--task", "image-classification"], "1 or 3 channels"),
        (b"no model", [], "is no ONNX model"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_written(
    run: Run, tmp_path: Path, raw: bytes, arguments: list[str], words: str
) -> None:
    (tmp_path / "net.onnx").write_bytes(raw)
    refused = run("init", "net.onnx", "--yes", *arguments)
    assert refused.exit_code == 1 and words in refused.stderr
    assert not (tmp_path / "net").exists()


def test_the_only_graph_of_a_folder_stays_where_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "export.onnx").write_bytes(IMAGE)
    assert run("init", "net", "--yes").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["amaas.json", SCHEMA, "export.onnx"]


@pytest.mark.parametrize(("name", "told"), [("net.pt", r"by `torch.onnx.export"), ("net.zip", "or unpack it")])
def test_a_file_of_another_kind_is_told_from_its_name(run: Run, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    done = run("init", name, "--yes")
    assert done.exit_code == 1 and told in done.stderr and len(list(tmp_path.iterdir())) == 1
