"""Runs MiniStack with seven changes that make it behave as AWS does.

- Where an API's binary types are "*/*", every body is binary. MiniStack looks for the type of a body in the headers and
  takes one without Content-Type for text, which destroys what a client such as tritonclient sends; without Accept it
  answers with base64.
- Objects that S3 acknowledged are durable. MiniStack logs that an object could not be written to the disk, and answers
  200; after the next start the object is gone.
- A range of a large object is read by itself. MiniStack reads the whole object for each.
- The key that an authorizer names (`usageIdentifierKey`) is the call's: rate, burst and quota of its usage plans hold.
  MiniStack knows the header x-api-key only, which an API with `ApiKeySourceType: AUTHORIZER` does not look at.
- No function outlives the cloud: see guardian.py.
- Answers are streamed where a route says so: see streaming.py.
- The gateway's own answers are those of the template, and so are preflights: see imported.py.
"""

from __future__ import annotations

import json
import mmap
import os
import runpy
import subprocess
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

HERE = Path(sys.path.pop(0))  # this folder: its modules are no part of the cloud

# E402: before the line above, these names could mean modules of this folder. Only the cloud's environment has them.
import ministack.services.apigateway_v1 as gateway  # type: ignore[import-not-found]  # noqa: E402
import ministack.services.s3 as s3  # type: ignore[import-not-found]  # noqa: E402

sys.path.append(str(HERE.parent))
from local import imported, streaming  # noqa: E402

sys.path.pop()

# Bytes that stay free: accepted uploads still have to be checked, and the control plane to be saved at the end.
RESERVE = int(os.environ.get("AMAAS_DISK_RESERVE", 128 * 2**20))

literally = gateway._media_type_matches
invoke = gateway._invoke_authorizer_lambda
authorize = gateway._authorize_request_v1
handle = s3.handle_request
get, read_body = s3._get_object, s3._read_body
write = s3._atomic_write
unwritten: list[OSError] = []
reads_range: ContextVar[bool] = ContextVar("whether the present request reads a range", default=False)
KEY = "usageIdentifierKey"
named: ContextVar[str | None] = ContextVar("the key that the authorizer of this request named", default=None)


def matches(media_type: str | None, binary_media_types: list[str] | None) -> bool:
    return "*/*" in (binary_media_types or ()) or bool(literally(media_type, binary_media_types))


async def invoke_and_keep_key(*arguments: Any) -> Any:
    """The authorizer's answer, whose key travels in the context: only that is remembered for the next calls."""
    answer = await invoke(*arguments)
    policy = (answer or {}).get("body")
    policy = json.loads(policy) if isinstance(policy, str | bytes) and not answer.get("error") else policy
    if isinstance(policy, dict) and KEY in policy:
        policy = policy | {"context": {**(policy.get("context") or {}), KEY: policy[KEY]}}
        answer = {**answer, "body": policy}
    return answer


async def authorize_and_take_key(*arguments: Any) -> Any:
    error, context = await authorize(*arguments)
    named.set((context or {}).get(KEY))
    return error, {name: value for name, value in context.items() if name != KEY} if context else context


def key_of_authorizer(method: dict, api: str, stage: str, headers: dict) -> Any:
    """(error, key) of a call: the key that its authorizer named, if it named one."""
    value = named.get()
    key = gateway._resolve_api_key(value)
    if value is not None and (key is None or not gateway._usage_plans_for_key(key["id"], api, stage)):
        return gateway._gw_error("INVALID_API_KEY", gateway._GATEWAY_ERROR_MESSAGES["INVALID_API_KEY"]), None
    return None, key


def full(size: int) -> str:
    """Why `size` more bytes are not accepted; empty if there is room."""
    disk = os.statvfs(s3.DATA_DIR)
    free = disk.f_bavail * disk.f_frsize
    if free < size + RESERVE:
        return f"{free / 2**20:,.0f} MiB are free, and {RESERVE / 2**20:,.0f} MiB of them are reserved"
    return "no more files can be created" if disk.f_files and not disk.f_favail else ""


def get_range_or_all(bucket: str, key: str, headers: dict, *rest: Any) -> Any:
    """S3's answer to GET."""
    token = reads_range.set("range" in headers)
    try:
        return get(bucket, key, headers, *rest)
    finally:
        reads_range.reset(token)


def map_or_read_body(bucket: str, key: str, obj: dict) -> Any:
    """An object's bytes; of one in a file, its map, where a range is cut out of it."""
    path = s3._object_disk_path(bucket, key) if reads_range.get() and obj.get("body") is None else None
    if path is None or not obj["size"]:
        return read_body(bucket, key, obj)
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def write_or_record(path: str, data: Any, **options: Any) -> None:
    """S3's own function to write a file; its callers swallow the error, so it is recorded for the answer."""
    try:
        write(path, data, **options)
    except OSError as error:
        unwritten.append(error)
        raise


async def handle_or_refuse(method: str, path: str, headers: dict, body: bytes, *rest: Any, **more: Any) -> Any:
    """S3's answer; 507 if an object cannot be stored. MiniStack answers S3 requests one after the other."""
    why = full(len(body)) if method in ("PUT", "POST") and "delete" not in _query(rest, more) else ""
    if not why:
        bucket, key = s3._parse_bucket_key(path, headers)
        objects = (s3._buckets.get(bucket) or {}).get("objects", {})
        before = objects.get(key)
        unwritten.clear()
        answer = await handle(method, path, headers, body, *rest, **more)
        if not unwritten:
            return answer
        _restore(objects, key, before)
        why = str(unwritten[-1])
    message = f"the disk of this machine is full ({s3.DATA_DIR}: {why}): free some space, then send it again"
    return s3._error("InsufficientStorage", message, 507, path)


def _restore(objects: dict[str, Any], key: str, before: Any) -> None:
    """Put back what S3 had before a failed write: the object is not on the disk, so the next start would lose it."""
    if before is None:
        objects.pop(key, None)
    else:
        objects[key] = before


def _query(rest: tuple[Any, ...], more: dict[str, Any]) -> dict[str, Any]:
    query: dict[str, Any] = rest[0] if rest else more.get("query_params", {})
    return query


def guard() -> subprocess.Popen[bytes] | None:
    """The process that ends the group after this one; None if this one leads no group: it is then a shell's."""
    if os.getpgrp() != os.getpid():
        return None
    command = [sys.executable, "-I", str(HERE / "guardian.py"), str(os.getpgrp())]
    # without this one's TMPDIR, which marks what the next start has to end
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env={"PATH": os.defpath})


gateway._media_type_matches = matches
gateway._invoke_authorizer_lambda = invoke_and_keep_key
gateway._authorize_request_v1 = authorize_and_take_key
gateway._check_api_key = key_of_authorizer
gateway._api_key_from_request = lambda headers: None
s3._atomic_write = write_or_record
s3.handle_request = handle_or_refuse
s3._get_object, s3._read_body = get_range_or_all, map_or_read_body
streaming.install()
imported.install()
if __name__ == "__main__":
    guardian = guard()  # must live as long as this process: it has the pipe
    # the Python that MiniStack starts for each function; another one emulates another processor
    sys.executable = os.environ.pop("AMAAS_WORKER_PYTHON", sys.executable)
    runpy.run_module("ministack", run_name="__main__")
