"""Archives of the inbox: a zip or a tar is a package, and no archive does more than that."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Config, MiB
from shared.errors import Unavailable
from shared.ingest import archives, pipeline
from shared.ingest.candidate import Rejected
from shared.ingest.verdict import Limits
from shared.registry import models
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import forms
from tests.support import linear

BODY = linear([[1.0], [0.0]])
PACKAGE = {"model.onnx": BODY, "amaas.json": json.dumps({"licence": "MIT"}).encode()}
MOST = 4 * MiB


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return target.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w", **more: object) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            for attribute, value in more.items():
                setattr(member, attribute, value)
            archive.addfile(member, io.BytesIO(body))
    return target.getvalue()


def gzipped(files: dict[str, bytes]) -> bytes:
    return tarred(files, "w:gz")


def stored(files: dict[str, bytes]) -> bytes:
    return zipped(files, zipfile.ZIP_STORED)


def unpacked(body: bytes, folder: Path, most: int = MOST) -> dict[str, bytes]:
    (folder / "package.zip").write_bytes(body)
    files = archives.unpack(folder / "package.zip", folder, most, Limits())
    assert sorted(path.name for path in folder.iterdir()) == ["files"], "neither the archive nor a copy stays"
    return {name: path.read_bytes() for name, path in files.items()}


@pytest.mark.parametrize("pack", [zipped, stored, tarred, gzipped])
@pytest.mark.parametrize("prefix", ["", "./", "my package/", "./my package/"])
def test_files_come_out_as_they_went_in(tmp_path: Path, pack: Callable[..., bytes], prefix: str) -> None:
    files = PACKAGE | {"golden.npz": os.urandom(3 * MiB), "empty.txt": b""}
    assert unpacked(pack({prefix + name: body for name, body in files.items()}), tmp_path) == files


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_what_systems_add_is_left_out(tmp_path: Path, pack: Callable[..., bytes]) -> None:
    added = {"__MACOSX/p/._model.onnx": b"x", "p/.DS_Store": b"x", "p/._model.onnx": b"x"}
    assert unpacked(pack({f"p/{name}": body for name, body in PACKAGE.items()} | added), tmp_path) == PACKAGE


def test_the_only_graph_may_have_any_name(tmp_path: Path) -> None:
    assert unpacked(zipped({"my net.onnx": BODY, "net.data": b"1"}), tmp_path) == {"model.onnx": BODY, "net.data": b"1"}


def zip_link() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        member = zipfile.ZipInfo("model.onnx")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    return target.getvalue()


def zip_twice() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("model.onnx", BODY)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("model.onnx", b"another")
    return target.getvalue()


def zip_encrypted() -> bytes:
    body = bytearray(stored(PACKAGE))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + offset] |= 1
    return bytes(body)


def zip_with_a_size_that_lies(stated: int) -> bytes:
    """Of zeros that are 16 MiB, and are said to be less or more."""
    body = bytearray(zipped({"model.onnx": bytes(16 * MiB)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", body, body.index(signature) + offset, stated)
    return bytes(body)


def zip_overlapping() -> bytes:
    """Two members that are one and the same bytes of the archive."""
    body = bytearray(zipped({"a.data": BODY, "b.data": BODY}))
    start = body.rindex(b"PK\x01\x02")
    struct.pack_into("<I", body, start + 42, 0)
    return bytes(body)


def tar_bomb() -> bytes:
    """A gigabyte of zeros in a megabyte, of which the tar says the truth."""
    header = tarfile.TarInfo("model.onnx")
    header.size = 1024 * MiB
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(header.tobuf())] + [packer.compress(bytes(MiB)) for _ in range(1024)] + [packer.flush()]
    return b"".join(parts)


HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "a zip that leads out": (lambda: zipped({"../model.onnx": BODY}), "bad_archive", "leads out"),
    "a tar that leads out": (lambda: tarred({"p/../../model.onnx": BODY}), "bad_archive", "leads out"),
    "an absolute name": (lambda: tarred({"/etc/model.onnx": BODY}), "bad_archive", "leads out"),
    "a drive": (lambda: zipped({"C:\\model.onnx": BODY}), "bad_archive", "leads out"),
    "a link in a zip": (zip_link, "bad_archive", "neither a file nor a folder"),
    "a symbolic link": (
        lambda: tarred({"model.onnx": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "bad_archive",
        "neither a file nor a folder",
    ),
    "a hard link": (
        lambda: tarred({"model.onnx": b""}, type=tarfile.LNKTYPE, linkname="amaas.json"),
        "bad_archive",
        "neither a file nor a folder",
    ),
    "a device": (lambda: tarred({"model.onnx": b""}, type=tarfile.CHRTYPE), "bad_archive", "neither a file nor a"),
    "a file twice in a zip": (zip_twice, "bad_archive", "two files"),
    "a file twice in a tar": (lambda: tarred({"a": b"1", "./a": b"2"}), "bad_archive", "two files"),
    "a password": (zip_encrypted, "bad_archive", "without a password"),
    "another method": (lambda: zipped(PACKAGE, zipfile.ZIP_LZMA), "bad_archive", "deflate"),
    "a bomb in a zip": (lambda: zipped({"model.onnx": bytes(64 * MiB)}), "too_large", "more bytes than"),
    "a bomb in a tar": (tar_bomb, "too_large", "more bytes than"),
    "too small a size": (lambda: zip_with_a_size_that_lies(100), "bad_archive", "CRC"),
    "too large a size": (lambda: zip_with_a_size_that_lies(2**31), "too_large", "more bytes than"),
    "members on each other": (zip_overlapping, "bad_archive", "cannot be unpacked"),
    "too many files": (lambda: zipped({f"{n}.txt": b"" for n in range(17)}), "too_many_files", "more than 16 files"),
    "too many members": (
        lambda: tarred({f"__MACOSX/{n}": b"" for n in range(1001)}),
        "too_many_files",
        "more than 1,000 members",
    ),
    "a folder within": (lambda: zipped({"model.onnx": BODY, "onnx/a.txt": b""}), "sub_folder", "side by side"),
    "a bad name": (lambda: zipped({"model.onnx": BODY, "a b.txt": b""}), "bad_file_name", "a b.txt"),
    "nothing": (lambda: zipped({}), "bad_archive", "no files"),
    "an empty tar": (lambda: tarred({}), "bad_archive", "no files"),
    "no archive": (lambda: b"hello" * 1000, "bad_archive", "cannot be unpacked"),
    "no bytes": (lambda: b"", "bad_archive", "cannot be unpacked"),
    "half a zip": (lambda: zipped(PACKAGE)[:-30], "bad_archive", "cannot be unpacked"),
    "half a tar": (lambda: tarred(PACKAGE)[:700], "bad_archive", "cannot be unpacked"),
    "half a gzip": (lambda: gzipped(PACKAGE)[:-40], "bad_archive", "cannot be unpacked"),
    "a gzip whose sum is wrong": (lambda: gzipped(PACKAGE)[:-8] + bytes(8), "bad_archive", "cannot be unpacked"),
    "a gzip that goes on": (
        lambda: gzip.compress(tarred(PACKAGE) + bytes(65 * MiB)),
        "bad_archive",
        "goes on after its end",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    make, code, reason = HOSTILE[name]
    with pytest.raises(Rejected, match=reason) as refused:
        unpacked(make(), tmp_path)
    assert refused.value.code == code
    assert "package.zip" in str(refused.value)
    assert sum(path.stat().st_size for path in tmp_path.glob(".unpacked")) <= MOST


def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: free._replace(free=MiB))
    with pytest.raises(Unavailable, match="wait for room"):
        unpacked(zipped({"model.onnx": os.urandom(2 * MiB)}), tmp_path)


def dropped(log: Log, key: str, body: bytes, config: Config | None = None) -> forms.Upload:
    log.store.put(key, body)
    upload = pipeline.on_object(log, config or Config(bucket="unused"), key, {"principal": "s3:ann"}, Limits())
    assert upload is not None
    return upload


@pytest.mark.parametrize("key", ["inbox/m.zip", "inbox/m/anything.zip", "inbox/m/my+package.ZIP"])
def test_an_archive_is_a_package(key: str) -> None:
    log = Log(MemoryStore())
    log.store.put(key.replace("+", " "), zipped({f"p/{name}": body for name, body in PACKAGE.items()}))
    upload = pipeline.on_object(log, Config(bucket="unused"), key, {"principal": "s3:ann"}, Limits())
    assert upload is not None
    assert (upload.state, upload.version, upload.model) == ("registered", 1, "m"), upload.reason
    assert [file.name for file in upload.files] == ["model.onnx", "amaas.json"]
    assert models.manifest(log, log.version(log.read("m"), 1)).licence == "MIT"


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_the_content_says_what_an_archive_is(suffix: str) -> None:
    assert dropped(Log(MemoryStore()), f"inbox/m{suffix}", gzipped(PACKAGE)).state == "registered"


def test_the_same_archive_again_and_another_one() -> None:
    log = Log(MemoryStore())
    assert dropped(log, "inbox/m.zip", zipped(PACKAGE)).version == 1
    assert dropped(log, "inbox/m.zip", stored(PACKAGE)).version == 1, "other bytes of the same files"
    assert dropped(log, "inbox/m.zip", zipped(PACKAGE | {"amaas.json": b'{"licence": "BSD"}'})).version == 2


DESCRIBED = {"config.json": b"{}", "tokenizer.json": b"{}"}


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({"model.onnx": BODY} | DESCRIBED, "undeclared", "m.zip: it has config.json, tokenizer.json beside the graph"),
        ({"onnx/model.onnx": BODY} | DESCRIBED, "undeclared", "amaas push FOLDER"),
        ({"churn.joblib": b"any"}, "not_onnx", "amaas push churn.joblib --trust-pickle"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "top/"])
def test_an_archive_that_no_amaas_json_declares_loses_nothing_silently(
    files: dict[str, bytes], code: str, said: str, prefix: str
) -> None:
    log = Log(MemoryStore())
    upload = dropped(log, "inbox/m.zip", zipped({prefix + name: body for name, body in files.items()}))
    assert (upload.state, upload.code, log.read("m").latest) == ("rejected", code, 0)
    assert said in str(upload.reason)
    declared = {"model.onnx": BODY, "amaas.json": b"{}"} | DESCRIBED
    assert dropped(log, "inbox/m.zip", zipped(declared)).state == "registered"


def test_files_of_an_archive_keep_to_the_bounds_of_files() -> None:
    log = Log(MemoryStore())
    small = Config(bucket="unused", max_upload_bytes=MiB)
    upload = dropped(log, "inbox/m.zip", zipped({"model.onnx": bytes(2 * MiB)}), small)
    assert (upload.state, upload.code) == ("rejected", "too_large") and "model.onnx" in str(upload.reason)
    upload = dropped(log, "inbox/m.zip", os.urandom(MiB + 1), small)
    assert (upload.state, upload.code) == ("rejected", "too_large") and "m.zip" in str(upload.reason)
    upload = dropped(log, "inbox/m.zip", zipped({"amaas.json": bytes(2 * MiB), "model.onnx": BODY}))
    assert (upload.state, upload.code) == ("rejected", "too_large") and "amaas.json" in str(upload.reason)


def test_a_refused_archive_leaves_nothing_but_its_state() -> None:
    log = Log(MemoryStore())
    upload = dropped(log, "inbox/m.zip", zip_link())
    assert (upload.state, upload.code) == ("rejected", "bad_archive")
    assert log.read("m").latest == 0
    assert list(log.store.list_page("blobs/").objects) == []
