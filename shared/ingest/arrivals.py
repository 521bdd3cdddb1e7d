"""What comes into the inbox: is it a package, is the package complete, or what is wrong with it?

A folder has no end of its own. It is taken at once where somebody put `_READY` last; otherwise when nothing came for
some seconds. A folder that lacks what it names itself is given longer; then the checks say what is missing.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field

from shared.config import MiB
from shared.errors import NotFound
from shared.ingest import candidate
from shared.ingest.candidate import Rejected
from shared.ingest.verdict import Limits
from shared.package import bounds, processing
from shared.storage.base import ObjectInfo, Store
from shared.uploads import inbox, inbox_packages, quiet, refusals
from shared.uploads.forms import Upload, UploadSession
from shared.uploads.inbox_packages import Package, Refusal
from shared.uploads.quiet import QuietFolder, Timer
from shared.uploads.sessions import MANIFEST_FILE, MODEL_FILE

MAX_GRAPH = 64 * MiB  # bytes of a graph that is read for names: one with its weights elsewhere is small
# of a tensor with external data, the entry `location`: tags and lengths of the two strings, then the file's name
LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])([^\x00-\x1f]+)")


class Arrival(Struct, frozen=True):
    """What an event, or a look, led to. sessions: of packages to be checked. refused: uploads that have ended."""

    sessions: list[UploadSession] = field(default_factory=list)
    refused: list[Upload] = field(default_factory=list)


def on_event(store: Store, key: str, by: str, limits: Limits, timer: Timer | None) -> Arrival:
    """An object was put into the inbox. timer: of folders' quiet; without it, they are taken as soon as nothing lacks.

    Raises NotFound if the object is gone, Unavailable.
    """
    place = inbox_packages.place(key)
    if place is None:
        return Arrival()
    if place.code:
        refusal = Refusal(place.model, [store.head(key)], place.code, place.reason)
        return Arrival(refused=[refusals.refuse(store, refusal, by)])
    if place.is_archive:
        return Arrival([inbox.open_session(store, inbox_packages.archive(place.model, store.head(key)), by)])
    objects = inbox.folder(store, place.model)
    fresh = _fresh(store, place.model, objects)
    if _is_ready(objects) and not (timer and _incomplete(store, fresh, limits)):
        return _taken(store, fresh, by)
    if timer is None:
        package = inbox.package_of(store, key)
        complete = package is not None and not lacking(store, package, limits)
        return Arrival([inbox.open_session(store, package, by)] if package and complete else [])
    if fresh:
        timer.start(QuietFolder(place.model, quiet.seen(objects), by))
    return Arrival()


def on_quiet(store: Store, folder: QuietFolder, limits: Limits, timer: Timer | None) -> Arrival:
    """A timer is over. Of a folder that has changed meanwhile, a later timer is running. Raises Unavailable."""
    objects = inbox.folder(store, folder.model)
    if quiet.seen(objects) != folder.seen:
        return Arrival()
    fresh = _fresh(store, folder.model, objects)
    if timer is None or folder.last or _is_ready(objects):
        return _taken(store, fresh, folder.by)
    waiting = _incomplete(store, fresh, limits)
    if not waiting:
        return _taken(store, fresh, folder.by)
    timer.start(QuietFolder(folder.model, folder.seen, folder.by, last=True))
    complete = [one for one in fresh if isinstance(one, Package) and one not in waiting]
    return _taken(store, complete, folder.by)


def overlooked(store: Store, older_than: float, current_time: float) -> None:
    """Open uploads for all that no event led to one, though it had `older_than` seconds to."""
    for one in inbox.without_session(store, older_than, current_time):
        if isinstance(one, Package):
            inbox.open_session(store, one, "inbox")
        else:
            refusals.refuse(store, one, "inbox")


def lacking(store: Store, package: Package, limits: Limits) -> list[str]:
    """Files that a package names and does not have. It is a reason to wait, and no verdict: those are the checks'."""
    graph, declared = package.files.get(MODEL_FILE), package.files.get(MANIFEST_FILE)
    named = [MODEL_FILE]
    try:
        if declared is not None and declared.size <= bounds.MAX_BYTES:
            named += _named_by_manifest(store.get(declared.key).body, limits)
        if graph is not None and graph.size <= MAX_GRAPH:
            named += named_by_graph(store.get(graph.key).body)
    except NotFound:  # removed since the listing: the check will say so
        return []
    return [name for name in dict.fromkeys(named) if name not in package.files]


def named_by_graph(body: bytes) -> list[str]:
    """Names of the files that a graph has tensors in, as far as they can be seen without parsing it."""
    found = (match[2][: match[1][0]] for match in LOCATION.finditer(body))
    return list(dict.fromkeys(name.decode(errors="replace") for name in found))


def _named_by_manifest(body: bytes, limits: Limits) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="amaas-inbox-") as folder:
        path = Path(folder) / MANIFEST_FILE
        path.write_bytes(body)
        try:
            declared = candidate.read_manifest(path, limits)
        except Rejected:
            return []
    golden = declared.golden.file if declared.golden else None
    return [*processing.files(declared.preprocess, declared.postprocess), *([golden] if golden else [])]


def _is_ready(objects: Sequence[ObjectInfo]) -> bool:
    """Whether the marker came after all files: one from an earlier time says nothing of files that came since."""
    markers = [info.modified for info in objects if inbox_packages.is_ready_marker(info)]
    return bool(markers) and max(markers) >= max(info.modified for info in objects)


def _incomplete(store: Store, found: Sequence[Package | Refusal], limits: Limits) -> list[Package]:
    return [one for one in found if isinstance(one, Package) and lacking(store, one, limits)]


def _fresh(store: Store, model: str, objects: Sequence[ObjectInfo]) -> list[Package | Refusal]:
    """What a folder holds, but for what is an upload that has ended."""
    packages, refused = inbox_packages.in_folder(model, objects)
    known = inbox.known_uploads(store, model)
    open_ = inbox.unended(store, model, known.values())
    found: list[Package | Refusal] = [*packages, *refused]
    return [one for one in found if one.mark not in known or known[one.mark] in open_]


def _taken(store: Store, found: Sequence[Package | Refusal], by: str) -> Arrival:
    return Arrival(
        [inbox.open_session(store, one, by) for one in found if isinstance(one, Package)],
        [refusals.refuse(store, one, by) for one in found if isinstance(one, Refusal)],
    )
