"""Copy what a deployment must not lose out of its bucket, into a folder, and back.

    python -m ops.backup save BUCKET FOLDER [--endpoint-url URL]
    python -m ops.backup restore FOLDER BUCKET [--endpoint-url URL]

Saved are the logs of all models, their blobs, the outcome of uploads, tokens, and data sets. Not saved is what is
derived (heads, the catalog) or expires (uploads, batch and training jobs). Records are copied before blobs: a blob is
written before the record that names it, so whatever a saved record names is saved, while the service goes on.

A second save into the same folder copies what is new. A restore never replaces an object that says something else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from shared import keys
from shared.storage.base import AlreadyExists, Store, list_all
from shared.storage.s3 import S3Store

# in the order of saving
PREFIXES = (keys.MODELS, "access/", "datasets/", keys.BLOBS)
INDEX = "backup.json"
FORMAT = 1


class BackupError(Exception):
    """What stands in the way, and what to do."""


def save(store: Store, folder: Path) -> tuple[int, int]:
    """Objects copied, and bytes of all that is saved. Raises BackupError."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = _index(folder)
    copied = 0
    for key in _keys_to_copy(store):
        if key in digests and _immutable(key):
            continue
        body = store.get(key).body
        target = folder / "objects" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        digests[key] = hashlib.sha256(body).hexdigest()
        copied += 1
    (folder / INDEX).write_text(json.dumps({"format": FORMAT, "objects": dict(sorted(digests.items()))}, indent=1))
    return copied, sum((folder / "objects" / key).stat().st_size for key in digests)


def restore(store: Store, folder: Path) -> int:
    """Objects written. Raises BackupError, before anything is written for a backup that is damaged."""
    digests = _index(folder)
    if not digests:
        raise BackupError(f"{folder} holds no backup: {INDEX} is missing or empty")
    damaged = [key for key, digest in digests.items() if _digest(folder / "objects" / key) != digest]
    if damaged:
        raise BackupError(f"{len(damaged)} objects of the backup are missing or damaged, the first is {damaged[0]}")
    written = 0
    # blobs first, so that no reader finds a record without what it names
    for key in sorted(digests, key=lambda key: (not key.startswith(keys.BLOBS), key)):
        body = (folder / "objects" / key).read_bytes()
        try:
            store.put(key, body, if_absent=True)
        except AlreadyExists:
            raise BackupError(
                f"the bucket holds another {key}: restore into an empty bucket, or one that this backup is of"
            ) from None
        written += 1
    return written


def _keys_to_copy(store: Store) -> Iterator[str]:
    for prefix in PREFIXES:
        for info in list_all(store, prefix):
            if not (prefix == keys.MODELS and info.key.endswith("/head.json")):
                yield info.key


def _immutable(key: str) -> bool:
    """Whether an object under this key never changes."""
    return key.startswith(keys.BLOBS) or "/log/" in key or "/snapshots/" in key


def _index(folder: Path) -> dict[str, str]:
    """Digests by key, of what the folder holds. Raises BackupError for one that a later release wrote."""
    if not (folder / INDEX).exists():
        return {}
    index = json.loads((folder / INDEX).read_text())
    if index["format"] > FORMAT:
        raise BackupError(f"{folder} was written by a later release, in format {index['format']}: use that release")
    objects: dict[str, str] = index["objects"]
    return objects


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, order in (("save", ("bucket", "folder")), ("restore", ("folder", "bucket"))):
        command = commands.add_parser(name)
        for argument in order:
            command.add_argument(argument)
        command.add_argument("--endpoint-url", help="an S3 endpoint other than AWS")
    options = parser.parse_args()
    store, folder = S3Store(options.bucket, options.endpoint_url), Path(options.folder)
    try:
        if options.command == "save":
            copied, size = save(store, folder)
            print(f"{copied} objects copied; the backup has {size:,} bytes")
        else:
            print(f"{restore(store, folder)} objects are in place")
    except BackupError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
