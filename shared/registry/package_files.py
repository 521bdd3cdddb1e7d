"""A version as the package that it was: where its files can be read."""

from __future__ import annotations

from msgspec import Struct

from shared import keys
from shared.clock import now
from shared.registry.log import Log
from shared.registry.state import Version

MODEL_FILE = "model.onnx"
EXPIRES = 3600  # seconds for which URLs hold
PRIVATE = "."  # begins the names of files that serving made for itself


class VersionFile(Struct, kw_only=True):
    """One file of a package. size: in bytes. sha256: in hex. url: to read it by, without a token."""

    name: str
    size: int
    sha256: str
    url: str


class VersionFiles(Struct, kw_only=True):
    """files: of the package as it was uploaded, but for amaas.json, which is the version's manifest, and its golden
    set, which is not kept. served: the model as it is served; whole by itself, where the uploaded one had its weights
    in other files. expires_at: when the URLs end.
    """

    model: str
    version: int
    files: list[VersionFile]
    served: VersionFile
    expires_at: str


def files(log: Log, model: str, version: Version) -> VersionFiles:
    """Raises Unavailable."""
    named = {MODEL_FILE: version.source} | {
        name: digest for name, digest in version.files.items() if not name.startswith(PRIVATE)
    }
    return VersionFiles(
        model=model,
        version=version.version,
        files=[_file(log, name, digest) for name, digest in named.items()],
        served=_file(log, MODEL_FILE, version.model),
        expires_at=now(EXPIRES),
    )


def _file(log: Log, name: str, digest: str) -> VersionFile:
    key = keys.blob(digest)
    return VersionFile(
        name=name, size=log.store.head(key).size, sha256=digest, url=log.store.presign_get(key, expires=EXPIRES)
    )
