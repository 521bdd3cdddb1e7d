"""The files of a version's package: each is what was uploaded, under its name, for whoever may upload."""

from __future__ import annotations

import hashlib
import json

from functions.registry import app as registry
from shared.storage.memory import MemoryStore
from tests.functions.test_flow import push
from tests.support import call, linear

MODEL = linear([[1.0], [2.0]])
ROWS = b"a,b\n1,2\n3,4\n"
MANIFEST = {"task": "tabular", "preprocess": {"columns": [{"name": "a"}, {"name": "b"}], "reference": "rows.csv"}}
PACKAGE = {"model.onnx": MODEL, "amaas.json": json.dumps(MANIFEST).encode(), "rows.csv": ROWS}


def test_the_files_are_what_was_uploaded(store: MemoryStore) -> None:
    assert push(store, "m", PACKAGE)["state"] == "registered"
    answer = call(registry.handler, "GET", "/models/m/versions/production/files")
    assert answer.status == 200, answer.body
    described = answer.json
    assert (described["model"], described["version"]) == ("m", 1)
    assert [one["name"] for one in described["files"]] == ["model.onnx", "rows.csv"], "and none that serving made"
    for one in described["files"]:
        body = store.get(f"blobs/sha256/{one['sha256']}").body
        assert body == PACKAGE[one["name"]] and one["size"] == len(body)
        assert one["sha256"] == hashlib.sha256(body).hexdigest() and one["sha256"] in one["url"]
    assert described["served"]["sha256"] in described["served"]["url"]


def test_who_may_only_read_the_catalog_gets_no_weights(store: MemoryStore) -> None:
    push(store, "m", PACKAGE)
    for scopes, status in (("read", 403), ("infer", 403), ("write", 200), ("write:other", 403)):
        assert call(registry.handler, "GET", "/models/m/versions/1/files", scopes=scopes).status == status
    assert call(registry.handler, "GET", "/models/m/versions/9/files").status == 404
