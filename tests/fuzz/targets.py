"""What strangers' bytes meet first, as functions of bytes: each answers, or raises an error that says what to do.

A target may raise AmaasError, and nothing else; what it returns has to hold what its docstring promises.
"""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image

from shared.errors import AmaasError, BadInput
from shared.jobs.batch import rows
from shared.package import manifest
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Column, Table
from shared.runtime.datatypes import DATATYPES
from shared.serving import protocol
from shared.serving.inputs import images, sounds, tables
from shared.values import csvfile

Target = Callable[[bytes], None]
TABLE = Table(
    columns=[
        Column(name="age", missing=0.0),
        Column(name="city", type="category", categories=["Bern", "Oslo", 3.0]),
        Column(name="note", type="text"),
    ]
)
SIGNATURE = [Tensor("x", "FP32", [-1, 4]), Tensor("t", "BYTES", [-1]), Tensor("n", "INT64", [-1, -1])]
ROW_MANIFEST = Manifest(name="m", inputs=[Tensor("x", "FP32", [-1, 4]), Tensor("age", "INT64", [-1])])


def binary_tensors(data: bytes) -> None:
    """An inference request with its tensors behind the JSON: what is accepted has the model's types and ranks."""
    cut = int.from_bytes(data[:2], "little")
    for headers in ({"inference-header-content-length": str(cut)}, {}):
        with suppress(AmaasError):
            parsed = protocol.parse(data[2:], headers)
            feeds = protocol.feeds(parsed, SIGNATURE)
            for tensor in SIGNATURE:
                array = feeds[tensor.name]
                assert array.ndim == len(tensor.shape), (tensor, array.shape)
                assert array.dtype == (np.object_ if tensor.datatype == "BYTES" else DATATYPES[tensor.datatype].numpy)
            protocol.requested_outputs(parsed, SIGNATURE)


def manifests(data: bytes) -> None:
    """An amaas.json: what is accepted can be stored, and is the same when it is read again."""
    with suppress(AmaasError):
        declared = manifest.decode(data, check_names=True)
        assert manifest.decode(manifest.encode(declared)) == declared


def pictures(data: bytes) -> None:
    """An image: what is accepted has pixels in the mode."""
    with suppress(AmaasError):
        images.check_pixels([data])
    for mode in ("RGB", "L"):
        with suppress(AmaasError):
            image = images.decode(data, mode)
            assert image.mode == mode and image.width * image.height > 0


def recordings(data: bytes) -> None:
    """A sound: what is accepted has finite samples."""
    with suppress(AmaasError):
        samples = sounds.decode(data, 8000)
        assert samples.ndim == 1 and samples.dtype == np.float32 and len(samples)
        assert np.isfinite(samples).all()


def csv_files(data: bytes) -> None:
    """A CSV file by both ways in: each row that one accepts is a row of the table."""
    with suppress(AmaasError):
        for row in tables.parse_csv(data, TABLE, most=100):
            assert set(row) <= {column.name for column in TABLE.columns}
    spans = list(csvfile.file_spans([data[:7], data[7:]]))
    assert all(start >= 0 and length > 0 for start, length in spans)
    assert spans == list(csvfile.file_spans([data])), "the blocks' sizes change the records"
    with suppress(BadInput):
        header, dialect = csvfile.names(data[: spans[0][1]] if spans else b"")
        for start, length in spans[1:50]:
            with suppress(BadInput):
                rows.build_request(dict(csvfile.row(data[start : start + length], header, dialect)), ROW_MANIFEST)


def control(data: bytes) -> None:
    """The negative control: a reader of CSV that does not bear a NUL within quotes."""
    csv_files(data)
    if b'"' in data and b"\x00" in data.partition(b'"')[2]:
        raise ValueError("a NUL within quotes")


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2), (200, 10, 30)).save(out, "PNG")
    return out.getvalue()


def jpeg() -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (5, 4), 90).save(out, "JPEG", exif=exif)
    return out.getvalue()


def wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<8h", *range(8)))
    return out.getvalue()


def float_wav() -> bytes:
    """Of floats, which may be no numbers."""
    samples = struct.pack("<8f", *(n / 8 for n in range(8)))
    form = struct.pack("<HHIIHH", 3, 1, 8000, 32_000, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def infer_request() -> bytes:
    head = (
        b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":16}},'
        b'{"name":"t","datatype":"BYTES","shape":[1],"data":["a"]},'
        b'{"name":"n","datatype":"INT64","shape":[1,2],"data":[[1,2]]}],"outputs":[{"name":"x"}]}'
    )
    return len(head).to_bytes(2, "little") + head + struct.pack("<4f", 1, 2, 3, 4)


MANIFEST = (
    b'{"name":"m","task":"tabular","labels":["a","b"],"metrics":{"accuracy":0.9},"golden":{"rtol":0.01},'
    b'"preprocess":{"kind":"table","columns":[{"name":"age","missing":0}]},"postprocess":{"kind":"scores","top_k":2}}'
)
CSV = b'age,city,note\n1,Bern,"a ""b"", c"\r\n,Oslo,\n'

# by name: the target, and what a search begins with
TARGETS: dict[str, tuple[Target, list[bytes]]] = {
    "binary-tensors": (binary_tensors, [infer_request()]),
    "manifests": (manifests, [MANIFEST]),
    "images": (pictures, [png(), jpeg()]),
    "sounds": (recordings, [wav(), float_wav()]),
    "csv": (csv_files, [CSV]),
}
CONTROL: dict[str, tuple[Target, list[bytes]]] = {"control": (control, [CSV])}
