"""The JSON Schema of amaas.json: the shipped file is of this release, explains each member, takes what ingest takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from api import package_schema
from api.package_words import WORDS
from shared.errors import BadInput
from shared.package import manifest
from shared.package.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = package_schema.schema()
CHECK = jsonschema.Draft202012Validator(SCHEMA)
BUNDLED = sorted(ROOT.glob("layers/models/*/amaas.json"))

TABLE = {"columns": [{"name": "a"}, {"name": "b", "type": "category", "categories": ["x", 1, True], "unknown": -1}]}
RIGHT: list[dict[str, Any]] = [
    {},
    {"$schema": "amaas.schema.json", "task": "tensor", "name": "m"},
    {"task": "image-classification", "preprocess": {"size": [224, 224]}, "labels": ["a", "b"]},
    {"task": "image-classification", "preprocess": {"kind": "image"}, "postprocess": {"kind": "scores", "top_k": 3}},
    {"task": "embedding", "preprocess": {"kind": "audio", "seconds": 1}, "postprocess": {"pooling": "mean"}},
    {"task": "embedding", "preprocess": {"tokenizer": "tokenizer.json"}},
    {
        "task": "tabular",
        "preprocess": {**TABLE, "gaps": ["NA"], "target": "y", "csv": {"delimiter": ";", "decimal": ","}},
    },
    {"task": "zero-shot-classification", "postprocess": {"entailment": 2, "contradiction": 0}},
    {"golden": {"file": "golden.npz", "atol": 0.01}, "metrics": {"accuracy": 0.9}, "lineage": {"step": "quantize"}},
]
WRONG: list[dict[str, Any]] = [
    {"task": "tables"},
    {"task": "image-classification", "preprocess": {"tokenizer": "tokenizer.json"}},
    {"task": "image-classification", "preprocess": {"kind": "text"}},
    {"task": "image-classification", "preprocess": {"size": 224}},
    {"task": "tabular", "preprocess": {"columns": []}},
    {"task": "tabular", "preprocess": {"columns": [{"name": "a", "typ": "number"}]}},
    {"task": "object-detection", "postprocess": {"iou": 2}},
    {"labels": [1, 2]},
    {"golden": {"rtol": -1}},
]


def test_the_shipped_file_is_of_this_release() -> None:
    assert package_schema.FILE.read_text(encoding="utf-8") == package_schema.source(), "run make package-schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_each_member_is_explained() -> None:
    for title, struct in {"Manifest": SCHEMA, **SCHEMA["$defs"]}.items():
        for name, member in struct["properties"].items():
            assert member.get("description"), f"{title}.{name}: say what it is in package_words"
    for place in WORDS:
        title, _, name = place.partition(".")
        assert name in (SCHEMA if title == "Manifest" else SCHEMA["$defs"][title])["properties"], place


@pytest.mark.parametrize("described", RIGHT)
def test_what_ingest_takes_is_right(described: dict[str, Any]) -> None:
    CHECK.validate(described)
    manifest.decode(json.dumps(described).encode(), check_names=True)


@pytest.mark.parametrize("described", WRONG)
def test_what_ingest_refuses_is_wrong(described: dict[str, Any]) -> None:
    assert list(CHECK.iter_errors(described))
    with pytest.raises(BadInput):
        manifest.decode(json.dumps(described).encode(), check_names=True)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.parent.name)
def test_the_bundled_packages_are_right(path: Path) -> None:
    CHECK.validate(json.loads(path.read_text(encoding="utf-8")))


def test_every_task_and_every_plan_has_its_place() -> None:
    assert SCHEMA["properties"]["task"]["enum"] == list(TASKS)
    for name, task in TASKS.items():
        for member, kinds in (("preprocess", task.preprocess), ("postprocess", task.postprocess)):
            plans = {
                one["properties"]["kind"]["const"] for one in SCHEMA["$defs"].values() if "kind" in one["properties"]
            }
            assert set(kinds) <= plans, (name, member)
    assert msgspec.json.decode(package_schema.source().encode())["title"] == package_schema.TITLE
