"""What training read, serving reads: the same file, sent to the model that was made of it, gives the same features."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from shared.errors import BadInput
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Table
from shared.registry.state import Version
from shared.serving.inputs import tables
from shared.serving.loaded import Loaded
from shared.values import declared
from shared.values.plain import plain
from tests.training.test_kinds import chosen
from training.data import catalog, digest
from training.data.source import KEPT, Options, Report, Source
from training.errors import TrainingError
from training.kinds.tables import Tables

Draw = random.Random
SEEDS = range(150)
LEFT_OUT = ("no value in any row", "a column without a name")
WORDS = ["NA", "na", "n/a", "N/A", "NaN", "nan", "NULL", "?", "", " ", " NA "]
DIGITS = ["5", " 7 ", "+5", "-0", ".5", "5.", "05", "1e3", "2E-3", "9007199254740993", "0.1", "1e-400"]
TEXTS = [
    "x",
    "2",
    "2.0",
    "02",
    "True",
    "false",
    'an 5" pipe',
    "a,b",
    "c;d",
    "two\nlines",
    "a\rb",
    "é",
    "1,5",
    '"',
    "\t",
    "|",
]
JSON_CELLS: list[Any] = [None, True, False, -1, 0, 1, 2, 2.0, 2.5, -0.0, 1e300, 2**70, "2", "2.0", "true", "True", "x"]


def written_number(draw: Draw) -> str:
    kind = draw.randrange(3)
    return [draw.choice(DIGITS), str(draw.randrange(-(10**20), 10**20)), repr(draw.uniform(-1e6, 1e6))][kind]


def text(draw: Draw) -> str:
    return draw.choice(WORDS) if draw.random() < 0.2 else "".join(draw.choices(TEXTS, k=draw.choice([1, 1, 1, 2])))


def trained(path: Path, **options: Any) -> tuple[Source, Tables]:
    report: Report = []
    source = catalog.find(str(path), path.parent, Options(task="table", target="class", **options), report)
    assert all("kept" in line or line["reason"] in LEFT_OUT for line in report), report
    return source, Tables.fit(source.splits["train"][0], source.details, chosen().preparation)


def served(kind: Tables) -> Loaded:
    """The model, as it is served after its manifest was stored."""
    plan = msgspec.json.decode(msgspec.json.encode(kind.preprocess), type=Table)
    declared.check(plan)
    digest = "0" * 64
    version = Version(version=1, task="tabular", manifest=digest, source=digest, model=digest, size=1, upload="u")
    inputs = [Tensor("features", "FP32", [-1, *kind.shape])]
    loaded = Loaded("m", version, 1, Manifest(task="tabular", inputs=inputs, preprocess=plan), None)  # type: ignore[arg-type]
    assert len(tables.parse_csv(kind.files["reference.csv"], plan)) == 50
    tables.feeds(loaded, tables.parse_csv(kind.files["reference.csv"], plan), plan)
    return loaded


def same(source: Source, kind: Tables, body: bytes, content_type: str) -> np.ndarray:
    loaded = served(kind)
    rows = tables.read(loaded, body, content_type, {}).items
    features = tables.feeds(loaded, rows, tables.declared(loaded))["features"]
    expected = kind.encode(source.splits["train"][0])["features"].numpy()
    assert features.tobytes() == expected.tobytes(), (features, expected)
    return features


def table(draw: Draw, number: Callable[[Draw], Any], category: Callable[[Draw], Any]) -> list[list[Any]]:
    """Rows with two columns and a class, of which each has values."""
    rows = [[number(draw), category(draw), ("no", "yes")[n % 2]] for n in range(draw.randrange(2, 12))]
    return [*rows, ["1", "here", "yes"], ["2", "there", "no"]]


def csv_file(draw: Draw) -> tuple[bytes, dict[str, str]]:
    """A file, and the options that it is read with."""
    delimiter = draw.choice([",", ";", "\t", "|"])
    decimal = draw.choice([".", ","]) if delimiter != "," else "."
    rows = table(draw, lambda draw: draw.choice([written_number(draw), written_number(draw), draw.choice(WORDS)]), text)
    for row in rows:
        row[0] = row[0].replace(".", decimal)
    body = io.StringIO(newline="")
    quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    csv.writer(body, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows(
        [["a", " b", "class"], *rows]
    )
    front = draw.choice(["", "\ufeff", f"sep={delimiter}\r\n"])
    names = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
    said = {"delimiter": names[delimiter]} if delimiter == "|" and "sep" not in front else {}
    end = draw.choice(["\n", "\r\n", "\r"])  # of which Python's writer quotes only its own
    return (front + body.getvalue().replace("\r\n", end)).encode(), said | (
        {"decimal": decimal} if decimal != "." else {}
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_csv(tmp_path: Path, seed: int) -> None:
    body, said = csv_file(random.Random(seed))
    (tmp_path / "t.csv").write_bytes(body)
    source, kind = trained(tmp_path / "t.csv", **said)
    assert source.details["columns"] == ["a", "b"]
    same(source, kind, body, "text/csv")


@pytest.mark.parametrize("seed", range(40))
def test_the_very_file_that_trained_predicts(tmp_path: Path, seed: int) -> None:
    """With columns that training has no use for: the class, what groups rows, and what is empty."""
    draw = random.Random(seed)
    rows = table(draw, lambda draw: draw.choice([written_number(draw), "NA"]), text)
    named = {"a": [row[0] for row in rows], "b": [row[1] for row in rows], "class": [row[2] for row in rows]}
    named |= {"customer id": [f"c{draw.randrange(4)}" for _ in rows], "": ["" for _ in rows]}
    named |= {
        name: [draw.choice(["", "NA"]) for _ in rows] for name in draw.sample(["x", "y z", "é"], draw.randrange(3))
    }
    order = draw.sample([*named], len(named))
    body = io.StringIO(newline="")
    csv.writer(body, quoting=csv.QUOTE_ALL).writerows([order, *zip(*(named[name] for name in order), strict=True)])
    (tmp_path / "t.csv").write_text(body.getvalue(), newline="")
    source, kind = trained(tmp_path / "t.csv", group="customer id")
    assert set(source.details["columns"]) == {"a", "b"}
    same(source, kind, body.getvalue().encode(), "text/csv")


def test_other_columns_are_refused_as_ever(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,empty,class\n1,,x\n2,,y\n")
    source, kind = trained(tmp_path / "t.csv")
    assert kind.preprocess["ignored"] == ["empty"]
    same(source, kind, b"a,empty,class\n1,something,x\n2,,y\n", "text/csv")
    with pytest.raises(BadInput, match=r"has the columns .'other'., which the model lacks"):
        tables.read(served(kind), b"a,other\n1,2\n", "text/csv", {})
    with pytest.raises(BadInput, match=r"the columns .'a'. are ignored, and declared"):
        declared.check(msgspec.convert(kind.preprocess | {"ignored": ["a"]}, Table))


def json_number(draw: Draw) -> Any:
    numbers = [
        None,
        draw.choice(DIGITS),
        draw.choice(WORDS),
        draw.randrange(-(2**63), 2**63),
        draw.uniform(-1e30, 1e30),
    ]
    return draw.choice(numbers)


@pytest.mark.parametrize("seed", SEEDS)
def test_jsonl(tmp_path: Path, seed: int) -> None:
    category = lambda draw: draw.choice([*JSON_CELLS, *WORDS])  # noqa: E731 - one line, used once
    rows = [
        dict(zip(("a", "b", "class"), row, strict=True)) for row in table(random.Random(seed), json_number, category)
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source, kind = trained(tmp_path / "t.jsonl")
    same(source, kind, json.dumps({"inputs": rows}).encode(), "application/json")


def test_categories_that_are_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    values = [2, 2.0, "x", True, 3.5, "2", None, False] * 2
    rows = [{"a": n, "b": value, "class": "yn"[n % 2]} for n, value in enumerate(values)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source, kind = trained(tmp_path / "t.jsonl")
    categories = kind.preprocess["columns"][1]["categories"]
    assert json.dumps(categories) == '[false, true, 2, 3.5, "2", "x"]'
    features = same(source, kind, json.dumps({"inputs": rows}).encode(), "application/json")
    assert features[:, 1:].argmax(1)[:6].tolist() == [2, 2, 5, 1, 3, 4] and not features[6, 1:].any()
    named, told = kind.categories(source.splits["train"][0])["b"]
    assert named == ["false", "true", "2", "3.5", "2", "x"] and told[:7] == ["2", "2", "x", "true", "3.5", "2", None]


def test_what_occurred_is_declared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n;c;class\n" + "1,5;NA;a\n2,5;x;b\n" * 3)
    _, kind = trained(tmp_path / "a.csv", decimal=",")
    assert kind.preprocess["gaps"] == ["NA"] and kind.preprocess["target"] == "class"
    assert kind.preprocess["csv"] == {"delimiter": ";", "decimal": ","}
    assert [column["type"] for column in kind.preprocess["columns"]] == ["number", "category"]
    assert kind.files["reference.csv"].decode().splitlines()[0] == "n;c"
    (tmp_path / "b.csv").write_text("n,c,class\n" + "1.5,y,a\n2.5,x,b\n" * 3)
    _, kind = trained(tmp_path / "b.csv")
    assert kind.preprocess.keys() == {"kind", "columns", "target", "reference"}


def test_commas_in_numbers_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n;c;class\n" + "1,5;z;a\n2,5;x;b\n" * 3)
    report: Report = []
    source = catalog.find(str(tmp_path / "a.csv"), tmp_path, Options(), report)
    assert source.details["types"] == {"n": "category", "c": "category"}
    told = {"reason": "taken for categories", "detail": "if these are numbers, give --decimal ,"}
    assert report == [{"item": "column n", **told} | KEPT]


def test_parquet_is_read_as_batch_jobs_read_it(tmp_path: Path) -> None:
    import datetime
    from decimal import Decimal

    count = 8
    columns = {
        "price": [Decimal("1.50"), None, Decimal("3.25"), Decimal("9.00")] * 2,
        "since": [datetime.date(2024, 1, 1 + n % 3) for n in range(count)],
        "took": [datetime.timedelta(seconds=n) for n in range(count)],
        "nan": [float("nan"), 1.5] * 4,
        "on": [True, False, None, True] * 2,
        "class": ["a", "b"] * 4,
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    source, kind = trained(tmp_path / "t.parquet")
    assert [one["type"] for one in kind.preprocess["columns"]] == ["number", "category", "number", "number", "category"]
    assert kind.preprocess["columns"][4]["categories"] == [False, True]
    rows = [{name: plain(values[n]) for name, values in columns.items()} for n in range(count)]
    same(source, kind, json.dumps({"inputs": rows}).encode(), "application/json")


def test_infinities_and_other_scripts_are_no_numbers(tmp_path: Path) -> None:
    values = ["1", "inf", "1e400", "٢", "1_0", *map(str, range(95))]
    (tmp_path / "t.csv").write_text("a,class\n" + "".join(f"{value},{'xy'[n % 2]}\n" for n, value in enumerate(values)))
    report: Report = []
    source = catalog.find(str(tmp_path / "t.csv"), tmp_path, Options(task="table"), report)
    assert source.details["types"] == {"a": "number"}
    assert [line["detail"] for line in report] == ["'inf'", "'1e400'", "'٢'", "'1_0'"]


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"t.jsonl": '{"a": 1, "class": "x"}\n'}, {"decimal": ","}, "--decimal is of CSV files, and .*t.jsonl is none"),
        ({"t.jsonl": '{"a": 1, "class": "x"}\n'}, {"delimiter": "tab"}, "--delimiter is of CSV files"),
        ({"t.csv": "a,class\n1,x\n"}, {"decimal": ","}, "declare delimiter as semicolon"),
        ({"t.csv": "a,class\n1,x\n"}, {"delimiter": "colon"}, "say one of comma, semicolon, tab, pipe"),
        ({"t.csv": "a,class,a\n1,x,2\n"}, {}, "more than once"),
    ],
)
def test_what_is_said_of_files_has_to_fit(
    tmp_path: Path, files: dict[str, str], options: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(TrainingError, match=words):
        catalog.find(str(tmp_path / next(iter(files))), tmp_path, Options(**options), [])


def test_a_quote_that_does_not_close_costs_its_own_line(tmp_path: Path) -> None:
    lines = ["1,z,a", "2,y,b", '3,5" pipe,a', '4,"z,b', "5,z,b"]
    (tmp_path / "t.csv").write_text("n,c,class\r" + "\r".join(lines))
    report: Report = []
    source = catalog.find(str(tmp_path / "t.csv"), tmp_path, Options(), report)
    assert [line["item"] for line in report] == ["t.csv:5"]
    assert source.names["train"] == ["t.csv:2", "t.csv:3", "t.csv:4", "t.csv:6"]
    assert source.splits["train"][0][2] == {"n": 3.0, "c": '5" pipe'}


def test_digests_that_packages_of_before_noted_still_fit() -> None:
    """They are of categories as texts."""
    labels = np.array([0, 1])
    before = np.array([{"n": 1.0, "c": "true"}, {"n": None, "c": "2"}], object)
    now = np.array([{"n": 1.0, "c": True}, {"n": None, "c": 2}], object)
    assert digest.contents((now, labels)) == digest.contents((before, labels))
