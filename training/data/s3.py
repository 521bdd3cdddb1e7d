"""Data in s3://BUCKET/KEY: downloaded once, into a folder that the objects' ETags name, and then read like any path."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path, PurePosixPath
from typing import Any

from training.data import cache
from training.errors import TrainingError

SCHEME = "s3://"
THREADS = 16
Listed = list[tuple[str, str]]  # key, ETag


def fetch(url: str, root: Path) -> Path:
    """A file or folder in root with what is behind the URL: an object, or all objects under a prefix.

    Credentials, region and AWS_ENDPOINT_URL are boto3's. What was downloaded is taken again while no object changed.
    Raises TrainingError for a bucket or objects that are not there or not to be read.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise TrainingError(f"{url} names no bucket: use s3://BUCKET/PREFIX")
    try:
        client = boto3.client("s3", config=Config(max_pool_connections=THREADS))
        listed = _listed(client, bucket, key)
        if not listed:
            raise TrainingError(f"{url} has no objects: look at what is there with aws s3 ls s3://{bucket}/")
        return _cached(client, bucket, key, listed, root / "s3")
    except ClientError as error:
        raise TrainingError(f"{url}: {_reason(error.response, bucket)}") from error
    except (BotoCoreError, ValueError) as error:  # no credentials, no region, no connection, a name that is none
        raise TrainingError(f"{url} cannot be read: {error}") from error


def _reason(response: Any, bucket: str) -> str:
    details = response.get("Error", {})
    code, status = str(details.get("Code", "")), response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket!r}: look at its name, and at AWS_ENDPOINT_URL"
    if status == 403 or code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return (
            f"access is denied ({code}): the credentials need s3:ListBucket and s3:GetObject on the bucket {bucket!r}"
        )
    return f"{code}: {details.get('Message', 'no reason was given')}"


def _listed(client: Any, bucket: str, key: str) -> Listed:
    """The object of that very key; else all under it, as under a folder. Keys that end in a slash are no files."""
    entries: Listed = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        entries += [(entry["Key"], entry["ETag"]) for entry in page.get("Contents", [])]
    if exact := [entry for entry in entries if entry[0] == key and not key.endswith("/")]:
        return exact
    folder = key if not key or key.endswith("/") else f"{key}/"
    return [entry for entry in entries if entry[0].startswith(folder) and not entry[0].endswith("/")]


def _cached(client: Any, bucket: str, key: str, listed: Listed, cache: Path) -> Path:
    digest = hashlib.sha256("\n".join([bucket, key, *map(str, sorted(listed))]).encode()).hexdigest()[:16]
    name = PurePosixPath(key).name or bucket  # the data set's name, and for a file its suffix
    target = cache / digest
    if not target.exists():
        _download(client, bucket, key, listed, target, name)
    return target / name


def _download(client: Any, bucket: str, key: str, listed: Listed, target: Path, name: str) -> None:
    """All objects, each as it was listed, into target/name; in one step, so that a part is never taken for all."""
    print(f"fetching {len(listed):,} objects from {SCHEME}{bucket}/{key}")

    def one(entry: tuple[str, str], draft: Path) -> None:
        path = draft / name
        if entry[0] != key:
            path = path.joinpath(*_parts(entry[0], key))
        path.parent.mkdir(parents=True, exist_ok=True)
        body = client.get_object(Bucket=bucket, Key=entry[0], IfMatch=entry[1])["Body"]
        with path.open("wb") as file:
            shutil.copyfileobj(body, file)

    with cache.beside(target) as folder:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, listed, repeat(folder / "set")))
        cache.publish(folder / "set", target)


def _parts(entry: str, key: str) -> list[str]:
    parts = entry.removeprefix(key).strip("/").split("/")
    if bad := [part for part in parts if part in ("", ".", "..") or "\0" in part]:
        raise TrainingError(f"the object {entry!r} has {bad[0]!r} in its name, and no place in a folder: rename it")
    return parts
