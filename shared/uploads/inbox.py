"""The inbox: packages that come with any S3 client. Each package opens one upload session; inbox_packages.py says what
is one, and ingest/arrivals.py when it is complete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from shared import keys
from shared.clock import new_id, now
from shared.errors import NotFound
from shared.formats import DAMAGED, UNREADABLE
from shared.storage.base import ObjectInfo, Store, list_all, list_folders
from shared.uploads import inbox_packages, states
from shared.uploads.forms import UPLOAD, File, UploadSession
from shared.uploads.inbox_packages import Package, Refusal

HORIZON = 6 * 86400.0  # seconds: below the life of sessions (template.yaml), by which a known object is recognized


def open_session(store: Store, package: Package, by: str) -> UploadSession:
    """The session of a package of the inbox: the same one for every event about the same contents and keys."""
    # Storage events are delivered at least once, and a bucket may be restored from a copy: the upload is known by keys
    # and content. Times do not decide: HEAD has whole seconds, LIST may have milliseconds, a copy has others.
    mark = package.mark
    upload = known_uploads(store, package.model).get(mark)
    if upload is None:
        upload = new_id(int(package.modified), mark)
        # before the session: whoever dies behind it leaves an object that every look takes for known
        store.put(keys.unfinished(package.model, upload), b"")
    session = UploadSession(
        upload_id=upload,
        model=package.model,
        by=by,
        created_at=now(),
        files=[File(name) for name in package.files],
        keys={name: info.key for name, info in package.files.items()},
    )
    return states.write_session(store, session)


def known_uploads(store: Store, model: str) -> dict[str, str]:
    """Ids of the uploads of a model, by the marks of what they brought, those by other ways included."""
    prefix = keys.upload_states(model)
    ids = (info.key.removeprefix(prefix).removesuffix(".json") for info in list_all(store, prefix))
    return {upload.rpartition("-")[2]: upload for upload in ids if keys.is_id(upload)}


def without_session(store: Store, older_than: float, current_time: float) -> Iterator[Package | Refusal]:
    """What lies in the inbox and no event led to an upload, though it had `older_than` seconds to."""

    def overlooked(one: Package | Refusal) -> bool:
        return older_than < current_time - one.modified < HORIZON

    recent = [one for one in _everything(store) if overlooked(one)]
    if recent:
        opened = {upload.rpartition("-")[2]: upload for upload in session_ids(store) if keys.is_id(upload)}
        for one in recent:
            if one.mark not in opened and not (isinstance(one, Package) and _is_remainder(store, one, opened.values())):
                yield one


def _everything(store: Store) -> Iterator[Package | Refusal]:
    """All that lies in the inbox."""
    for model, objects in inbox_packages.by_folder(list_all(store, keys.INBOX)).items():
        if model:
            packages, refusals = inbox_packages.in_folder(model, objects)
            yield from packages
            yield from refusals
            continue
        for info in objects:
            found = inbox_packages.place(info.key)
            if found is not None and found.code:
                yield Refusal(found.model, [info], found.code, found.reason)
            elif found is not None:
                yield inbox_packages.archive(found.model, info)


def _is_remainder(store: Store, package: Package, uploads: Iterable[str]) -> bool:
    """Whether the files are what is left of an upload, the others of which were removed since: that brings nothing."""
    names = {info.key for info in package.files.values()}
    for upload in uploads:
        if int(upload.partition("-")[0], 16) < int(package.modified) * 1000:
            continue  # it is older than one of these files
        try:
            session = states.read_session(store, upload)
        except (NotFound, *UNREADABLE):
            continue
        if session.model == package.model and is_inbox(session) and names < set(session.keys.values()):
            return True
    return False


def is_inbox(session: UploadSession) -> bool:
    """Whether a session is of objects of its model's inbox. One that a container may have written never is."""
    named = [file.name for file in session.files] == list(session.keys)
    return (
        keys.is_id(session.upload_id)
        and named
        and bool(session.keys)
        and all(_is_of(session.model, key) for key in session.keys.values())
    )


def _is_of(model: str, key: str) -> bool:
    if not key.startswith(keys.INBOX):
        return False
    found = inbox_packages.place(key)
    return found is not None and found.model == model


def is_archive(session: UploadSession) -> bool:
    """Whether a session of the inbox is of an archive, which is the package."""
    found = inbox_packages.place(next(iter(session.keys.values()))) if is_inbox(session) else None
    return found is not None and found.is_archive


def is_unchanged(store: Store, session: UploadSession) -> bool:
    """Whether the objects of a session of the inbox are those that it was opened for. Raises NotFound."""
    objects = [store.head(key) for key in session.keys.values()]
    return session.upload_id.endswith(f"-{inbox_packages.mark(objects)}")


def brought(store: Store, session: UploadSession, upload: str, digests: Mapping[str, str]) -> bool:
    """Whether an earlier upload of the same model brought the same files under the same keys.

    digests: of all files of the package, by name; that of the model is known to be the same.
    """
    try:
        earlier = UPLOAD.decode(store.get(keys.upload_state(session.model, upload)).body)
    except (NotFound, *DAMAGED):
        return False
    if earlier.inbox_key not in session.keys.values():
        return False
    recorded = {file.name: file.sha256 for file in earlier.files}
    # releases up to 0.1 took single graphs only, and recorded no digests
    return recorded == dict(digests) if any(recorded.values()) else len(recorded) == len(digests) == 1


def arrived(store: Store, session: UploadSession) -> dict[str, float | None]:
    """When each file came, in seconds since the epoch; None if it is gone."""
    return {name: _modified(store, key) for name, key in session.keys.items()}


def _modified(store: Store, key: str) -> float | None:
    try:
        return store.head(key).modified
    except NotFound:
        return None


def folder(store: Store, model: str) -> list[ObjectInfo]:
    """The files in the inbox of a model that may be of one package, and the marker that says that all are there."""
    return inbox_packages.by_folder(list_all(store, keys.inbox_folder(model))).get(model, [])


def package_of(store: Store, key: str) -> Package | None:
    """The package that an object of the inbox is of; None if it is of none. Raises NotFound if the object is gone."""
    found, info = inbox_packages.place(key), store.head(key)
    if found is None or found.code:
        return None
    if found.is_archive:
        return inbox_packages.archive(found.model, info)
    packages, _ = inbox_packages.in_folder(found.model, folder(store, found.model))
    return next((one for one in packages if any(info.key == key for info in one.files.values())), None)


def unended(store: Store, model: str, uploads: Collection[str]) -> set[str]:
    """Those of a model's uploads that may have no end state."""
    prefix = keys.unfinished(model, "0" * 8)[:-8]
    return {info.key.removeprefix(prefix) for info in list_all(store, prefix)} & set(uploads)


def session_ids(store: Store) -> Iterator[str]:
    """Ids of all sessions that have not expired, those of pushed packages included."""
    return list_folders(store, keys.UPLOADS)
