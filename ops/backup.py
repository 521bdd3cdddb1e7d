"""Back up the objects of a deployment's bucket that cannot be derived, into a folder, and restore them.

    python -m ops.backup save BUCKET FOLDER [--endpoint-url URL]
    python -m ops.backup restore FOLDER BUCKET [--endpoint-url URL]

Saves the logs of all models, their blobs, the states of uploads, tokens, and data sets. Does not save what is derived
(heads, the catalog) or expires (uploads, batch and training jobs). Records are copied before blobs: a blob is written
before the record that refers to it, so a backup is complete even if it is made while the service is in use.

A second save into the same folder copies what is new. A restore never replaces an object with another content.
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
    """Why a backup or a restore cannot be made, and what to do."""


def save(store: Store, folder: Path) -> tuple[int, int]:
    """Back up a bucket. Returns the number of objects copied, and the bytes of the whole backup. Raises BackupError."""
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
    """Restore a backup. Returns the number of objects. Raises BackupError, for a damaged backup before it writes."""
    digests = _index(folder)
    if not digests:
        raise BackupError(f"{folder} is not a backup, its {INDEX} is missing or empty: state the folder of a backup")
    damaged = [key for key, digest in digests.items() if _digest(folder / "objects" / key) != digest]
    if damaged:
        raise BackupError(
            f"{len(damaged)} objects of the backup are missing or damaged, as {damaged[0]}: use another copy"
        )
    written = 0
    # blobs first, so that no reader sees a record without the blobs that it refers to
    for key in sorted(digests, key=lambda key: (not key.startswith(keys.BLOBS), key)):
        body = (folder / "objects" / key).read_bytes()
        try:
            store.put(key, body, if_absent=True)
        except AlreadyExists:
            raise BackupError(
                f"the bucket has another content at {key}: restore into an empty bucket, or the one that was backed up"
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
    """The digests of the saved objects by key. Raises BackupError for a backup of a later release."""
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
