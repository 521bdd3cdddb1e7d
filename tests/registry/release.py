"""What release 0.1 left: a bucket that it wrote, and its code. See tests/fixtures/release-0.1/generate.py."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from shared.registry.log import Log
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "release-0.1"
PEM = FOLDER / "test-key.pem"


@cache
def _members() -> dict[str, bytes]:
    with tarfile.open(FOLDER / "bucket.tar.xz") as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}


def objects() -> dict[str, bytes]:
    """All of the bucket, by key."""
    return {name.removeprefix("bucket/"): body for name, body in _members().items() if name.startswith("bucket/")}


def contents() -> dict[str, Any]:
    """What release 0.1 itself says of it: ids, a token in plain text, each model's state."""
    return json.loads(_members()["contents.json"])


def bucket() -> MemoryStore:
    return filled(objects())


def filled(bodies: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    for name, body in bodies.items():
        store.put(name, body)
    return store


def key() -> LocalKey:
    return LocalKey.load(PEM)


def public_key() -> str:
    """As functions have it in their environment: DER, in base64."""
    return base64.b64encode(key().public).decode()


def log(store: MemoryStore) -> Log:
    return Log(store, signer=key(), trusted=[key().public])


def unpack_code(folder: Path) -> Path:
    with tarfile.open(FOLDER / "code.tar.xz") as archive:
        # Python 3.11 has the filter from 3.11.4 on; the archive is our own
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder


def operate(store: MemoryStore, models: list[str], code: Path, target: int = 1) -> tuple[MemoryStore, dict[str, Any]]:
    """Have release 0.1 move production to a version and back again. Returns the bucket then, and what came of it."""
    order = {
        "objects": {name: base64.b64encode(stored.body).decode() for name, stored in store._objects.items()},
        "key": str(PEM),
        "models": models,
        "target": target,
    }
    command = [sys.executable, "-I", "-c", f"import sys, runpy; sys.path.insert(0, {str(code)!r}); {RUN}"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=False, cwd=code)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    bodies = {name: base64.b64decode(body) for name, body in answer["objects"].items()}
    return filled(bodies), answer["report"]


RUN = f"runpy.run_path({str(FOLDER / 'operate.py')!r}, run_name='__main__')"
