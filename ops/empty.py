"""Remove all versions of all objects from a deployment's bucket, permanently: this cannot be undone.

    python -m ops.empty BUCKET --confirm BUCKET [--endpoint-url URL]

For the end of a deployment: its bucket stays when the stack is deleted, and can only be deleted when it is empty.
"""

from __future__ import annotations

import argparse
from typing import Any

import boto3


def empty(s3: Any, bucket: str) -> int:
    """Versions and delete markers removed. s3: a boto3 client."""
    removed = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        for start in range(0, len(objects), 1000):
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects[start : start + 1000], "Quiet": True})
        removed += len(objects)
    return removed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bucket")
    parser.add_argument("--confirm", required=True, help="the bucket's name once more")
    parser.add_argument("--endpoint-url", help="an S3 endpoint other than AWS")
    options = parser.parse_args()
    if options.confirm != options.bucket:
        raise SystemExit(
            f"nothing was removed: --confirm is {options.confirm!r}; repeat the bucket's name, {options.bucket!r}"
        )
    removed = empty(boto3.client("s3", endpoint_url=options.endpoint_url), options.bucket)
    print(f"removed {removed} versions of objects from {options.bucket}")


if __name__ == "__main__":
    main()
