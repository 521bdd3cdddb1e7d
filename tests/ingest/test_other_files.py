"""What is sent as model.onnx and is another file: its sender is told which, and what to do."""

from __future__ import annotations

import pytest

from shared.ingest import graph
from shared.ingest.verdict import Refused

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (POINTER, "is a pointer of Git LFS, and not the file: fetch that by `git lfs pull`"),
        (b"", "is empty; upload it again"),
        (b"GGUF\3\0\0\0", "a GGUF file of llama.cpp"),
        (b"\x1c\0\0\0TFL3", "a TensorFlow Lite model"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"BZh91AY", "a bzip2 archive"),
        (b"Rar!\x1a\7", "a RAR archive"),
    ],
)
def test_it_is_named(body: bytes, told: str) -> None:
    with pytest.raises(Refused) as refused:
        graph.parse(body)
    assert refused.value.code == "not_onnx" and told in str(refused.value)
