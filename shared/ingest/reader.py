"""The reader: the process that decodes a stranger's `amaas.json`. The supervisor starts it; it confines itself first.

Apart from the worker, since it needs neither numpy nor ONNX Runtime, whose imports take ten times as long as its work.

Job on standard input, answer on the file descriptor named in the job.
"""

from __future__ import annotations

import os
import sys

import msgspec

from shared.config import MiB
from shared.errors import BadInput
from shared.ingest import descriptors
from shared.ingest.verdict import Reading
from shared.package import bounds, manifest
from shared.runtime import sandbox
from shared.values import declared

MEMORY, CPU = 512 * MiB, 5  # bytes of address space, seconds


class ReadJob(msgspec.Struct):
    """files: amaas.json, as an open descriptor. answer: another one. sandbox, require_filter: as in Limits."""

    files: dict[str, int]
    answer: int
    sandbox: bool
    require_filter: bool


def main() -> None:
    sandbox.die_with_parent()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=ReadJob)
    _warm_up()
    os.rmdir(os.getcwd())
    sandbox.limit_resources(MEMORY, CPU)
    confined = sandbox.filter_system_calls() if job.sandbox else False
    exposed = job.sandbox and job.require_filter and not confined
    rest = memoryview(msgspec.json.encode(Reading(confined) if exposed else _read(job.files["amaas.json"], confined)))
    while rest:
        rest = rest[os.write(job.answer, rest) :]
    os._exit(0)


def _warm_up() -> None:
    """What a decoding imports: in the sandbox no file can be opened any more."""
    manifest.decode(b"{}", check_names=True)


def _read(file: int, confined: bool) -> Reading:
    try:
        bounds.check_size(descriptors.size(file))
        read = manifest.decode(descriptors.read(file), check_names=True)
        declared.check(read.preprocess)
        return Reading(confined, read)
    except BadInput as error:
        return Reading(confined, refusal=str(error))
    except (MemoryError, ValueError) as error:
        return Reading(confined, refusal=f"amaas.json cannot be read ({type(error).__name__}): write it again")


if __name__ == "__main__":
    main()
