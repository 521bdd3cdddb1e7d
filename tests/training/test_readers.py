"""Texts, sounds, tables and encoded images: what is read of files and folders, and what is said of bad ones."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import soundfile
from PIL import Image
from pyarrow import parquet

from training.data import catalog
from training.data import dataset as data
from training.data.source import Options
from training.errors import TrainingError

COLUMNS = ["age", "city", "empty", "class"]


def find(path: Path, report: data.Report | None = None, **options: Any) -> data.Source:
    return catalog.find(str(path), path.parent, Options(**options), [] if report is None else report)


def written(path: Path, header: list[str], rows: list[list[Any]], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    return path


def reviews(count: int = 20) -> list[list[str]]:
    return [[f"a text, number {n}, that can be read", ("bad", "good")[n % 2]] for n in range(count)]


# ---- texts


@pytest.mark.parametrize("header", [["text", "label"], ["what was said", "stars"]])
def test_two_columns_with_long_texts_are_texts(tmp_path: Path, header: list[str]) -> None:
    source = find(written(tmp_path / "a.csv", header, reviews()))
    assert (source.kind, source.labels) == ("text", ["bad", "good"])
    values, labels = source.splits["train"]
    assert (values[3], labels[3], source.names["train"][3]) == ("a text, number 3, that can be read", 1, "a.csv:5")


def test_jsonl_and_parquet_read_the_same_as_csv(tmp_path: Path) -> None:
    rows = [{"text": text, "label": label, "id": n} for n, (text, label) in enumerate(reviews())]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    written(tmp_path / "a.csv", ["text", "label", "id"], [[*row, n] for n, row in enumerate(reviews())], ";")
    found = [find(tmp_path / f"a.{kind}") for kind in ("csv", "jsonl", "parquet")]
    for source in found:
        assert source.kind == "text"
        assert source.splits["train"][0].tolist() == found[0].splits["train"][0].tolist()
        assert source.splits["train"][1].tolist() == [0, 1] * 10


def test_what_is_no_text_or_has_no_class_is_reported(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in reviews()]
    lines += ['{"text": 7, "label": "bad"}', '{"text": "x"}', "{broken", "[1]", '{"text": " \\n", "label": "bad"}']
    lines += [
        '{"text": "half an emoji \\ud83d", "label": "bad"}',
        '{"text": "a whole one \\ud83d\\ude00", "label": "bad"}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    loaded = data.load(str(tmp_path / "a.jsonl"), tmp_path, seed=0)
    assert {line["item"]: line["reason"] for line in loaded.report} == {
        "a.jsonl:21": "no text",
        "a.jsonl:22": "no class",
        "a.jsonl:23": "unreadable",
        "a.jsonl:24": "unreadable",
        "a.jsonl:25": "empty",
        "a.jsonl:26": "unreadable",
    }
    assert sum(len(part[1]) for part in (loaded.train, loaded.validation, loaded.test)) == 21


def test_a_folder_of_texts_with_a_test_split_of_its_own(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 2)):
        for label in ("de", "en"):
            (tmp_path / "set" / split / label).mkdir(parents=True)
            for n in range(count):
                (tmp_path / "set" / split / label / f"{n}.txt").write_text(f"{split} {label} {n}")
    (tmp_path / "set" / "train" / "de" / "latin1.txt").write_bytes("für".encode("latin-1"))
    report: data.Report = []
    source = find(tmp_path / "set", report)
    assert {split: len(part[1]) for split, part in source.splits.items()} == {"train": 12, "test": 4}
    assert source.labels == ["de", "en"]
    assert source.names["test"][0] == "test/de/0.txt"
    assert [(line["item"], line["reason"]) for line in report] == [("train/de/latin1.txt", "unreadable")]


def test_class_names_of_hugging_faces_parquet_files_keep_their_order(tmp_path: Path) -> None:
    told = {"info": {"features": {"label": {"names": ["world", "sports"], "_type": "ClassLabel"}}}}
    for split, labels in (("train", [0, 1, 1, -1]), ("test", [1, 0])):
        table = pyarrow.table({"text": [f"{split} {n}" for n in range(len(labels))], "label": labels})
        table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
        parquet.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    report: data.Report = []
    source = find(tmp_path, report)
    assert source.labels == ["world", "sports"]
    assert [source.splits[split][1].tolist() for split in ("train", "test")] == [[0, 1, 1], [1, 0]]
    assert report == [{"item": "train-00000-of-00001.parquet:3", "reason": "no class"}]


# ---- tables


def table(count: int = 40) -> list[list[Any]]:
    return [[n + 0.5, ("Bonn", "Köln", "?")[n % 3], "", "yes" if n % 4 else "no"] for n in range(count)]


def test_columns_are_numbers_or_categories_and_gaps_stay_gaps(tmp_path: Path) -> None:
    rows = table()
    rows[1][0], rows[2][0], rows[3][0] = "NA", "twelve", "inf"
    report: data.Report = []
    source = find(written(tmp_path / "t.csv", COLUMNS, rows), report)
    assert (source.kind, source.labels) == ("table", ["no", "yes"])
    assert source.details == {
        "columns": ["age", "city"],
        "types": {"age": "number", "city": "category"},
        "target": "class",
        "declared": {"target": "class", "gaps": ["?", "NA"], "ignored": ["empty"]},
    }
    assert source.splits["train"][0][:2].tolist() == [{"age": 0.5, "city": "Bonn"}, {"age": None, "city": "Köln"}]
    assert report == [
        {"item": "column empty", "reason": "no value in any row"},
        {"item": "t.csv:4", "reason": "no number in age", "detail": "'twelve'"},
        {"item": "t.csv:5", "reason": "no number in age", "detail": "'inf'"},
    ]


def test_numbers_with_few_values_are_classes_in_their_order(tmp_path: Path) -> None:
    rows = [[n, n % 7, 2 + 4 * (n % 3)] for n in range(60)]
    source = find(written(tmp_path / "t.csv", ["a", "b", "stars"], rows))
    assert source.labels == ["2", "6", "10"]
    parquet.write_table(
        pyarrow.table({"a": [1.5, None] * 10, "c": [1.0, 2.0] * 10, "d": [True, False] * 10}), tmp_path / "t.parquet"
    )
    source = find(tmp_path / "t.parquet", target="c")
    assert source.labels == ["1", "2"]
    assert source.splits["train"][0][1] == {"a": None, "d": False}


def test_equal_rows_go_only_when_their_targets_are_equal(tmp_path: Path) -> None:
    rows = [*table(), table()[0], [*table()[0][:3], "yes"]]
    loaded = data.load(str(written(tmp_path / "t.csv", COLUMNS, rows)), tmp_path, seed=0)
    assert [(line["item"], line["reason"], line.get("same_as")) for line in loaded.report[1:]] == [
        ("t.csv:42", "duplicate", "t.csv:2")
    ]


@pytest.mark.parametrize(
    ("header", "rows", "options", "message"),
    [
        (["a", "b"], [], {}, "has no rows"),
        (["a", "b", "b"], [[1, 2, 3]], {}, r"the columns \['b'\] more than once"),
        (["a", "b", "c"], [[1, 2, "x"]] * 9, {}, "has 1 classes"),
        (["a", "b", "c"], [[1, 2, "x"], [1, 2, "y"]] * 9, {"target": "d"}, "no column 'd'"),
        (["a", "b", "c"], [["", "", "x"], ["", "", "y"]] * 9, {}, "nothing to learn from"),
        (["a", "b"], [[n, n / 7] for n in range(60)], {}, "no quantities"),
        (["a", "b"], [[n, f"name {n}"] for n in range(60)], {}, "60 classes in 60 rows"),
        (["text", "label", "x"], reviews(), {}, "20 rows cannot be read"),
        (["text", "label"], reviews(), {"text": "body"}, "no column 'body'"),
        (["text", "label"], reviews(), {"size": (3, 3)}, "texts, for which --size means nothing"),
        (["a", "b"], reviews(), {"task": "image"}, "no column of image bytes"),
    ],
)
def test_bad_tables_are_explained(
    tmp_path: Path, header: list[str], rows: list[list[Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        find(written(tmp_path / "t.csv", header, rows), **options)


def test_bad_files_are_explained(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("größe,klasse\n1,x\n".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"not UTF-8 but another encoding \(at byte 2\)"):
        find(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("a,b\n1,x\n", encoding="utf-16")
    with pytest.raises(TrainingError, match="UTF-16"):
        find(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text('a,b\n1,"x\n')
    with pytest.raises(TrainingError, match=r"1 rows cannot be read, as .*not closed"):
        find(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(TrainingError, match="not a Parquet file"):
        find(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": 2, "b": 3}\n')
    with pytest.raises(TrainingError, match="mixed types"):
        find(tmp_path / "a.jsonl")
    with pytest.raises(TrainingError, match="is not a data set: use fashion-mnist"):
        find(tmp_path / "nothing.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(TrainingError, match="no data to train on"):
        find(tmp_path / "folder")


# ---- sounds


def tone(path: Path, hertz: float, rate: int, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.sin(2 * np.pi * hertz * np.arange(rate // 10) / rate)
    soundfile.write(path, np.repeat(wave[:, None], channels, 1), rate)


def test_sounds_come_at_one_rate_and_in_one_channel(tmp_path: Path) -> None:
    for n in range(4):
        tone(tmp_path / "low" / f"{n}.wav", 200 + n, 8000)
        tone(tmp_path / "high" / f"{n}.flac", 900 + n, 16000 if n == 3 else 8000, channels=1 + n % 2)
    (tmp_path / "low" / "broken.ogg").write_bytes(b"OggS and no more")
    (tmp_path / "low" / "notes.txt").write_text("no sound")
    tone(tmp_path / "low" / "silence.wav", 0, 8000)
    report: data.Report = []
    source = find(tmp_path, report)
    assert (source.kind, source.details, source.labels) == ("audio", {"sample_rate": 8000}, ["high", "low"])
    assert {len(samples) for samples in source.splits["train"][0]} == {800}
    assert {samples.dtype for samples in source.splits["train"][0]} == {np.dtype(np.float32)}
    assert {line["item"]: line["reason"] for line in report} == {
        "low/broken.ogg": "unreadable",
        "low/notes.txt": "not a sound file",
    }
    assert {len(samples) for samples in find(tmp_path, rate=4000).splits["train"][0]} == {400}
    assert data.load(str(tmp_path), tmp_path, seed=0).report[-1] == {"item": "low/silence.wav", "reason": "empty"}


# ---- encoded bytes


def test_images_in_parquet_are_decoded_like_those_in_folders(tmp_path: Path, folder: Path) -> None:
    rows = [
        {"image": {"bytes": path.read_bytes(), "path": path.name}, "label": path.parent.name}
        for path in sorted(folder.glob("*/*.png"))
    ]
    rows += [{"image": {"bytes": b"no image", "path": None}, "label": "left"}, {"image": None, "label": "left"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    report: data.Report = []
    source, same = find(tmp_path / "a.parquet", report), find(folder)
    assert (source.kind, source.labels) == ("image", same.labels)
    assert np.array_equal(source.splits["train"][0], same.splits["train"][0])
    assert [(line["item"], line["reason"]) for line in report] == [
        ("a.parquet:121", "unreadable"),
        ("a.parquet:120", "unreadable"),
    ]
    body = io.BytesIO()
    Image.new("L", (30, 30)).save(body, "PNG")
    parquet.write_table(
        pyarrow.table(
            {
                "picture": [body.getvalue()] + [row["image"]["bytes"] for row in rows[:-2]],
                "side": ["left"] + [row["label"] for row in rows[:-2]],
            }
        ),
        tmp_path / "b.parquet",
    )
    with pytest.raises(TrainingError, match=r"different sizes \(120 of 12x12, 1 of 30x30\)"):
        find(tmp_path / "b.parquet")
    assert find(tmp_path / "b.parquet", size=(6, 6)).splits["train"][0].shape == (121, 6, 6, 1)


# ---- by name


@pytest.mark.parametrize(("name", "rows", "columns", "classes"), [("wine", 178, 13, 3), ("breast-cancer", 569, 30, 2)])
def test_tables_that_come_with_scikit_learn(tmp_path: Path, name: str, rows: int, columns: int, classes: int) -> None:
    loaded = data.load(name, tmp_path, seed=0)
    assert loaded.kind == "table"
    assert len(loaded.labels) == classes
    assert len(loaded.train[0][0]) == len(loaded.details["columns"]) == columns
    assert sum(len(part[1]) for part in (loaded.train, loaded.validation, loaded.test)) == rows - len(loaded.report)
    assert loaded.about["licence"] == "CC BY 4.0"


def test_data_sets_by_name_take_no_options_and_unknown_ones_are_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="wine is read in one way only: omit --size, --target"):
        data.load("wine", tmp_path, seed=0, size=(2, 2), target="x")
    with pytest.raises(TrainingError, match="torchvision:Nothing is not a data set"):
        data.load("torchvision:Nothing", tmp_path, seed=0)
