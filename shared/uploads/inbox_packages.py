"""What the keys of the inbox mean: which objects are one package, and which are none, with the reason.

    inbox/{model}/{file}       the files of one folder are one package; several graphs without amaas.json are one each;
                               beside files that only an amaas.json can have a meaning by, they are none: undeclared.py
    inbox/{model}/_READY       that the folder is complete
    inbox/{model}.zip          an archive of a package: .zip, .tar, .tar.gz, .tgz; as inbox/{model}/{any name}.zip, too

Here nothing is read: it goes by names, sizes and times of objects.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from shared import keys
from shared.storage.base import ObjectInfo
from shared.uploads import undeclared
from shared.uploads.sessions import MANIFEST_FILE, MAX_FILES, MODEL_FILE

READY = "_READY"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
OTHER_ARCHIVES = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
GRAPH = ".onnx"
WEIGHTS = (".data", ".bin", ".weights", ".onnx_data")  # as the client takes them for weights, too
GOLDEN_FILE = "golden.npz"


class Package(Struct, frozen=True):
    """Objects that are one package. files: by their names in it, the graph first, which is model.onnx there.

    An archive is a package of one file, which has the archive's own name.
    """

    model: str
    files: dict[str, ObjectInfo]

    @property
    def mark(self) -> str:
        return mark(self.files.values())

    @property
    def modified(self) -> float:
        """When its last file came, in seconds since the epoch."""
        return max(info.modified for info in self.files.values())


class Refusal(Struct, frozen=True):
    """Objects that are no package, and why. model: whose folder they are in; empty if they are in none."""

    model: str
    objects: list[ObjectInfo]
    code: str
    reason: str

    @property
    def mark(self) -> str:
        return mark(self.objects)

    @property
    def modified(self) -> float:
        return max(info.modified for info in self.objects)


class Place(Struct, frozen=True):
    """Where an object lies. model: empty for none. name: in its folder. code, reason: of what can be no package."""

    model: str
    name: str
    code: str | None = None
    reason: str = ""

    @property
    def is_archive(self) -> bool:
        return archive_suffix(self.name) is not None


def mark(objects: Iterable[ObjectInfo]) -> str:
    """16 hex digits for the keys and the contents of objects."""
    # Times do not count: HEAD has whole seconds, LIST may have milliseconds, a copy of a bucket has others.
    lines = sorted(f"{info.key}\n{info.etag.strip(chr(34))}" for info in objects)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def archive_suffix(name: str) -> str | None:
    return next((suffix for suffix in ARCHIVES if name.lower().endswith(suffix)), None)


def place(key: str) -> Place | None:
    """What a key below `inbox/` means; None for the empty objects that consoles make of folders."""
    parts = key.removeprefix(keys.INBOX).split("/")
    name = parts[-1]
    if not name:
        return None
    if len(parts) == 1:
        return _at_top(key, name)
    model, shown = parts[0], key[:300]
    if not keys.is_model(model):
        reason = (
            f"{shown!r} lies in a folder whose name is no model's: use letters, digits, '.', '_' and '-', at most 100, "
            "starting with a letter or a digit, and put it there"
        )
        return Place("", name, "bad_model_name", reason)
    if len(parts) > 2:
        reason = (
            f"{shown!r} lies in a folder within the package: put the files of a package into inbox/{model}/ itself, "
            f"or an archive of them to inbox/{model}.zip"
        )
        return Place(model, name, "sub_folder", reason)
    return _in_folder(model, name, shown)


def _at_top(key: str, name: str) -> Place:
    model = name[: -len(archive_suffix(name) or "") or None]
    if archive_suffix(name) and keys.is_model(model):
        return Place(model, name)
    if archive_suffix(name):
        reason = (
            f"the archive {key[:300]!r} is to be named as its model, with letters, digits, '.', '_' and '-', at most "
            "100, starting with a letter or a digit: rename it"
        )
        return Place("", name, "bad_model_name", reason)
    reason = (
        f"{key[:300]!r} is in no model's folder: put it to inbox/MODEL/, or an archive of a package "
        f"({', '.join(ARCHIVES)}) to inbox/MODEL.zip"
    )
    return Place("", name, "no_folder", reason)


def _in_folder(model: str, name: str, shown: str) -> Place:
    if archive_suffix(name) or name.lower().endswith(GRAPH):  # no file gets these names: any will do
        return Place(model, name)
    if name.lower().endswith(OTHER_ARCHIVES):
        reason = f"{shown!r} is an archive of a kind that is not read: make one of {', '.join(ARCHIVES)}"
        return Place(model, name, "bad_archive", reason)
    if not re.fullmatch(keys.FILE, name) or ".." in name:
        reason = (
            f"{shown!r} has no name that a file of a package can have: use letters, digits, '.', '_' and '-', at most "
            "128, starting with none of the last two; or leave it out, if the model needs no such file"
        )
        return Place(model, name, "bad_file_name", reason)
    return Place(model, name)


def archive(model: str, info: ObjectInfo) -> Package:
    """The package of one archive."""
    name = info.key.rpartition("/")[2]
    plain = name if re.fullmatch(keys.FILE, name) and ".." not in name else f"package{archive_suffix(name) or '.zip'}"
    return Package(model, {plain: info})


def in_folder(model: str, objects: Iterable[ObjectInfo]) -> tuple[list[Package], list[Refusal]]:
    """The packages that are made of a folder's files, as by_folder gives them, and the files that belong to none.

    With an amaas.json, all files are one package. Without, each graph is one, with the weights that are named as it
    is; the only graph has all weights, and the golden set. With files that say more of the model than a graph does, or
    models of other forms and no graph, all files are one refusal.
    """
    files = {info.key.rpartition("/")[2]: info for info in objects if not is_ready_marker(info)}
    graphs = [name for name in files if name.lower().endswith(GRAPH)]
    if MANIFEST_FILE in files:
        return _whole(model, files, graphs)
    if problem := undeclared.problem(f"inbox/{model}/", files, has_graph=bool(graphs)):
        return [], [Refusal(model, list(files.values()), problem.code, problem.reason)]
    if not graphs:
        return ([Package(model, files)], []) if files else ([], [])
    belonging = {graph: _beside(graph, files, alone=len(graphs) == 1) for graph in graphs}
    rest = set(files) - set(graphs) - {name for names in belonging.values() for name in names}
    packages = [
        Package(model, {MODEL_FILE: files[graph]} | {name: files[name] for name in names})
        for graph, names in belonging.items()
    ]
    return packages, [_foreign(model, files[name]) for name in sorted(rest)]


def _whole(model: str, files: dict[str, ObjectInfo], graphs: Sequence[str]) -> tuple[list[Package], list[Refusal]]:
    if len(files) > MAX_FILES:
        reason = (
            f"inbox/{model}/ has {len(files)} files, and a package at most {MAX_FILES}: remove those that the model "
            "does not need, and put one of the others once more"
        )
        return [], [Refusal(model, list(files.values()), "too_many_files", reason)]
    if MODEL_FILE in files or not graphs:
        first = [MODEL_FILE] if MODEL_FILE in files else []
        return [Package(model, {name: files[name] for name in dict.fromkeys([*first, *files])})], []
    if len(graphs) > 1:
        reason = (
            f"inbox/{model}/ has an amaas.json and several graphs ({', '.join(sorted(graphs))[:200]}): name the one "
            f"that amaas.json is about {MODEL_FILE}"
        )
        return [], [Refusal(model, list(files.values()), "several_graphs", reason)]
    [graph] = graphs
    return [Package(model, {MODEL_FILE: files[graph]} | {n: info for n, info in files.items() if n != graph})], []


def _beside(graph: str, files: Iterable[str], *, alone: bool) -> list[str]:
    stem = graph[: -len(GRAPH)]
    weights = [name for name in files if name.lower().endswith(WEIGHTS)]
    if not alone:
        return [name for name in weights if re.match(re.escape(stem) + "[._]", name)][: MAX_FILES - 1]
    return [*weights, *(name for name in files if name == GOLDEN_FILE)][: MAX_FILES - 1]


def _foreign(model: str, info: ObjectInfo) -> Refusal:
    reason = (
        f"{info.key[:300]!r} belongs to no package: without an amaas.json in inbox/{model}/, a package is a graph "
        f"(.onnx), its weights ({', '.join(WEIGHTS)}), and {GOLDEN_FILE} if there is one graph; put an amaas.json "
        "beside it, or remove it"
    )
    return Refusal(model, [info], "no_package", reason)


def is_ready_marker(info: ObjectInfo) -> bool:
    return info.key.endswith(f"/{READY}")


def by_folder(objects: Iterable[ObjectInfo]) -> dict[str, list[ObjectInfo]]:
    """Objects of the inbox by the model whose folder they are files of.

    Under an empty name are archives, and what can be part of no package.
    """
    folders: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in objects:
        found = place(info.key)
        if found is not None:
            inside = found.model and not found.code and info.key.count("/") == 2 and not found.is_archive
            folders[found.model if inside else ""].append(info)
    return dict(folders)
