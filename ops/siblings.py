"""Functions beside a deployed one: the same code, layers, role and settings, with another memory size, for a while.

The function itself is only read. Nothing calls a sibling but who made it, and it is deleted however the block ends.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

TAG = {"amaas": "tune"}
COPIED = ("Runtime", "Role", "Handler", "Timeout", "EphemeralStorage", "Architectures", "LoggingConfig")


@contextmanager
def siblings(functions: Any, name: str, sizes: list[int]) -> Iterator[dict[int, str]]:
    """The names of siblings by their memory in MB. functions: a boto3 client of Lambda.

    Raises ClientError; those that were created by then are deleted.
    """
    original = functions.get_function(FunctionName=name)
    settings = original["Configuration"]
    with urllib.request.urlopen(original["Code"]["Location"]) as reply:
        code = reply.read()
    created: dict[int, str] = {}
    try:
        for size in sizes:
            created[size] = sibling_name(name, size)
            _create(functions, created[size], size, settings, code)
        yield created
    finally:
        _delete_all(functions, list(created.values()))


def sibling_name(name: str, size: int) -> str:
    """64 characters are a function's name at most."""
    suffix = f"-tune-{size}"
    return name[: 64 - len(suffix)] + suffix


def _create(functions: Any, name: str, size: int, settings: dict[str, Any], code: bytes) -> None:
    members = {member: settings[member] for member in COPIED if settings.get(member)}
    members["Layers"] = [layer["Arn"] for layer in settings.get("Layers", [])]
    members["Environment"] = {"Variables": settings.get("Environment", {}).get("Variables", {})}
    members |= {"FunctionName": name, "MemorySize": size, "Code": {"ZipFile": code}, "Tags": TAG}
    try:
        functions.create_function(**members)
    except functions.exceptions.ResourceConflictException:  # of a sweep that was killed
        functions.delete_function(FunctionName=name)
        functions.create_function(**members)
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def _delete_all(functions: Any, names: list[str]) -> None:
    """Every one, whatever becomes of the others. Raises the last error, once all were tried."""
    problem: ClientError | None = None
    for name in names:
        try:
            functions.delete_function(FunctionName=name)
        except functions.exceptions.ResourceNotFoundException:  # it was not created
            continue
        except ClientError as error:
            problem = error
    if problem is not None:
        raise problem
