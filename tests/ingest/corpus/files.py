"""Files that are no ONNX, or not whole, or too large."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile

import numpy as np
from onnx import numpy_helper

from shared.ingest.verdict import Limits
from tests.ingest.corpus.parts import add, attack, model


@attack("not_onnx")
def text_file() -> bytes:
    return b"this is a text file, renamed\n" * 20


@attack("not_onnx")
def empty_file() -> bytes:
    return b""


@attack("not_onnx")
def truncated() -> bytes:
    whole = model([add("x", "w")], initializers=[numpy_helper.from_array(np.ones(4, np.float32), "w")])
    return whole[: len(whole) // 2]


@attack("not_onnx")
def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({}))
    return buffer.getvalue()


@attack("not_onnx")
def raw_pickle() -> bytes:
    return pickle.dumps({"state": list(range(10))}, protocol=4)


@attack("not_onnx")
def gzipped() -> bytes:
    return gzip.compress(model([add("x", "x")]))


@attack("not_onnx")
def ort_format() -> bytes:
    return b"\x1c\0\0\0ORTM" + bytes(64)


@attack("too_large", Limits(model_bytes=1000))
def too_large() -> bytes:
    return model([add("x", "w")], initializers=[numpy_helper.from_array(np.ones(500, np.float32), "w")])
