"""Removing objects of a bucket with versions for good; where Object Lock holds a version, hiding it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from shared.storage.base import ObjectNotFound, Purged, Unavailable

Version = tuple[str, str]  # its key and its id
Call = Callable[..., Any]


class Purge:
    """Of one prefix: a folder's, with its final slash, or a key. call: of S3, as S3Store has it."""

    def __init__(self, call: Call, prefix: str) -> None:
        if not prefix.strip("/"):
            raise ValueError("a purge needs a prefix: without one it would remove the whole bucket")
        self._call = call
        self._prefix = prefix
        self._locked: set[Version] = set()

    def run(self) -> Purged:
        """Raises Unavailable; what is left then, another run removes.

        Versions go before delete markers, or a marker that hides a locked version would be gone for a moment.
        """
        keys, versions, size = set[str](), 0, 0
        while entries := self._first("Versions"):
            refused = self._delete(entries)
            for key in {key for key, _ in refused}:
                self._call(key, "delete_object", Key=key)
            self._locked |= refused
            removed = [entry for entry in entries if _version(entry) not in refused]
            keys |= {entry["Key"] for entry in removed}
            versions += len(removed)
            size += sum(entry["Size"] for entry in removed)
        hidden = {key for key, _ in self._locked}
        while entries := self._first("DeleteMarkers", hidden):
            self._delete(entries)
            keys |= {entry["Key"] for entry in entries}
        return Purged(len(keys), versions, size, len(self._locked))

    def _first(self, kind: str, hidden: Collection[str] = ()) -> list[dict[str, Any]]:
        """The first page's entries of a kind that are to go; from the next page where the first has none.

        From the beginning each time: what was listed is gone, and not every store goes on behind a key that is.
        """
        for page in self._pages():
            entries = [e for e in page.get(kind, []) if _version(e) not in self._locked and e["Key"] not in hidden]
            if not self._prefix.endswith("/"):  # a key is the first of those that begin with it
                entries = [entry for entry in entries if entry["Key"] == self._prefix]
            if entries:
                return entries
        return []

    def _pages(self) -> Iterator[dict[str, Any]]:
        place: dict[str, str] = {}
        while True:
            page = self._call(self._prefix, "list_object_versions", Prefix=self._prefix, **place)
            yield page
            if not page.get("IsTruncated"):
                return
            place = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _delete(self, entries: list[dict[str, Any]]) -> set[Version]:
        """Delete at most 1000 of them, as a page has. The locked ones, which stay."""
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        reply = self._call(self._prefix, "delete_objects", Delete={"Objects": objects, "Quiet": True})
        errors = reply.get("Errors", [])
        codes = {error.get("Code") for error in errors}
        if codes - {"AccessDenied"} or (codes and not self._has_lock()):
            named = ", ".join(sorted(str(code) for code in codes))
            raise Unavailable(f"{len(errors)} versions below {self._prefix} were not removed ({named}); try again")
        refused = {(error["Key"], error.get("VersionId")) for error in errors}
        return {v for v in map(_version, entries) if v in refused or (v[0], None) in refused}  # some name the key alone

    def _has_lock(self) -> bool:
        """Whether the bucket has Object Lock, which refuses as a missing permission does."""
        try:
            self._call("the bucket", "get_object_lock_configuration")
        except (ObjectNotFound, Unavailable):
            return False
        return True


def _version(entry: dict[str, Any]) -> Version:
    return entry["Key"], entry["VersionId"]
