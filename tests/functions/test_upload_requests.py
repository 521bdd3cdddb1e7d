"""What may be announced: every file with its size, and no more than the deployment accepts."""

from __future__ import annotations

import pytest

from functions.upload import app as upload
from shared.storage.memory import MemoryStore
from tests.support import call


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"files": [{"name": "../x", "size": 1}]}, 400, "file name"),
        ({"files": [{"name": "amaas.json", "size": 1}]}, 400, "model.onnx"),
        ({"files": [{"name": "model.onnx", "size": 1}] * 2}, 400, "same name"),
        (
            {"files": [{"name": "model.onnx", "size": 10**12}]},
            413,
            "262,144,000 for a file and 524,288,000 for a package",
        ),
        ({"files": [{"name": n, "size": 2 * 10**8} for n in ("model.onnx", "a", "b")]}, 413, "the package 600,000,000"),
        ({"files": [{"name": "model.onnx"}]}, 400, "`size`"),
        ({}, 400, "`files`"),
        ({"files": [{"name": "model.onnx", "size": -1}]}, 400, "size"),
        ({"files": [{"name": "model.onnx", "size": 1, "sha256": "xyz"}]}, 400, "sha256"),
        ({"files": []}, 400, "files"),
        (b"{", 400, "JSON"),
    ],
)
def test_bad_upload_requests(store: MemoryStore, body, status: int, message: str) -> None:
    answer = call(upload.handler, "POST", "/models/m/uploads", body)
    assert (answer.status, message in answer.json["error"]) == (status, True), answer.body
    assert not store.list_page("").objects


def test_a_large_file_is_sent_in_parts(store: MemoryStore) -> None:
    size = 100 * 1024 * 1024
    ticket = call(upload.handler, "POST", "/models/m/uploads", {"files": [{"name": "model.onnx", "size": size}]}).json
    assert len(ticket["files"][0]["parts"]) == -(-size // ticket["files"][0]["part_size"]) == 7
    assert ticket["files"][0]["complete"]["method"] == "POST"
