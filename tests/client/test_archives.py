"""An archive is pushed as the folder that was packed; what it holds besides a package is left out, or refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from amaas import AmaasError, Client
from amaas.api import archives

from tests.client.gateway import Service

FILES = {"model.onnx": b"graph", "amaas.json": b'{"task": "tensor"}', "model.onnx.data": b"weights"}
REGULAR, LINK = 0o100644 << 16, 0o120777 << 16


def packed(path: Path, files: dict[str, bytes], attributes: int = REGULAR) -> Path:
    """A zip, or by the ending of its name a tar."""
    if archives.suffix(path) in archives.TARS:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("name", ["net.zip", "net.ZIP", "net.tar", "net.tar.gz", "net.tgz"])
@pytest.mark.parametrize("folder", ["", "net-v1/", "./"])
def test_an_archive_is_the_folder_that_was_packed(
    client: Client, service: Service, tmp_path: Path, name: str, folder: str
) -> None:
    foreign = {f"__MACOSX/{folder}._model.onnx": b"x", f"{folder}.DS_Store": b"x"} if folder != "net-v1/" else {}
    files = {f"{folder}{file}": content for file, content in FILES.items()} | foreign
    state = client.push(packed(tmp_path / name, files))
    assert (state["state"], state["model"]) == ("registered", "net")
    assert service.sent_files() == FILES


def test_what_macos_packs_beside_the_folder_is_no_part_of_it(client: Client, service: Service, tmp_path: Path) -> None:
    files = {f"net/{name}": content for name, content in FILES.items()}
    client.push(packed(tmp_path / "net.zip", files | {"__MACOSX/net/._model.onnx": b"x"}))
    assert service.sent_files() == FILES


def test_the_only_graph_is_the_model_in_archives_and_folders(client: Client, service: Service, tmp_path: Path) -> None:
    client.push(packed(tmp_path / "one.zip", {"Net.ONNX": b"graph"}))
    assert service.sent_files() == {"model.onnx": b"graph"}
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "net.onnx").write_bytes(b"other")
    assert client.push(tmp_path / "two")["model"] == "two"
    assert service.sent_files()["model.onnx"] == b"other"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "has no files: pack model.onnx"),
        ({".DS_Store": b"x"}, "has no files"),
        ({"../model.onnx": b"x"}, "leads out of the archive"),
        ({"a/../../model.onnx": b"x"}, "leads out of the archive"),
        ({"/etc/model.onnx": b"x"}, "leads out of the archive"),
        ({"C:/model.onnx": b"x"}, "leads out of the archive"),
        ({f"{n}.txt": b"" for n in range(archives.MAX_MEMBERS + 1)}, "has more than 1,000 members"),
        ({"model.onnx": b"\0" * (archives.LEAST + 1)}, "holds 200 times its own size and more"),
        ({"model.onnx/a": b"x", "model.onnx": b"x"}, "has two files"),
        ({"model.onnx": b"x", "model.onnx/a": b"x"}, "has a file and a folder"),
        ({"model.pt": b"x"}, r"model\.pt is no ONNX: make some of it, as by `torch\.onnx\.export"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
@pytest.mark.parametrize("name", ["net.zip", "net.tar.gz"])
def test_what_is_refused(
    client: Client, service: Service, tmp_path: Path, name: str, files: dict[str, bytes], told: str
) -> None:
    with pytest.raises(AmaasError, match=told):
        client.push(packed(tmp_path / name, files))
    assert not service.calls
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".zip", ".gz")] == [name]


def test_links_and_passwords_are_refused(client: Client, service: Service, tmp_path: Path) -> None:
    link = packed(tmp_path / "link.zip", {"model.onnx": b"/etc/hostname"}, LINK)
    with pytest.raises(AmaasError, match=r"'model\.onnx' is no file: put a copy of the file itself"):
        client.push(link)
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        member = tarfile.TarInfo("model.onnx")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(member)
    with pytest.raises(AmaasError, match="is no file"):
        client.push(tmp_path / "link.tar")
    locked = packed(tmp_path / "locked.zip", FILES)
    raw = bytearray(locked.read_bytes())
    for position in (raw.index(b"PK\3\4") + 6, raw.index(b"PK\1\2") + 8):
        raw[position] |= 1
    locked.write_bytes(raw)
    with pytest.raises(AmaasError, match="is encrypted: pack it without a password"):
        client.push(locked)
    assert not service.calls


@pytest.mark.parametrize("name", ["net.zip", "net.tar", "net.tgz"])
@pytest.mark.parametrize("body", [b"", b"no archive", b"PK\3\4", b"\x1f\x8b\x08\0"])
def test_what_is_no_archive(client: Client, tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(AmaasError, match=rf"{name} (cannot be unpacked|has no files)"):
        client.push(tmp_path / name)


@pytest.mark.parametrize("name", ["net.zip", "net.tar.gz"])
def test_an_archive_that_is_cut_or_changed(client: Client, tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {"model.onnx": bytes(range(256)) * 500})
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(AmaasError, match="cannot be unpacked"):
        client.push(path)


def test_options_of_folders_are_for_folders(client: Client, tmp_path: Path) -> None:
    with pytest.raises(AmaasError, match="is an archive: unpack it, and push the folder with --graph"):
        client.push(packed(tmp_path / "net.zip", FILES), graph="model.onnx")
