"""The only place where object keys are made, always from validated names.

uploads/{upload}/ticket.json, uploads/{upload}/files/{file}   what a client sends; expires
inbox/{model}/{file}.onnx                                     the no-tool way in
blobs/sha256/{digest}                                         content-addressed, written once
models/{model}/log/{revision:012d}.json                       the registry's log
models/{model}/head.json                                      the log folded up to a revision
models/{model}/snapshots/{revision:012d}.json                 the same at some revisions, should the head be lost
models/{model}/uploads/{upload}.json                          the state of each upload
catalogue/models.json                                         an index of all models, derived from their heads
catalogue/changed/{model}/{revision:012d}                     which models it has yet to look at
access/tokens/{token}.json                                    salted hashes of tokens
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from shared.errors import BadInput

MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
UPLOAD = re.compile(r"[a-z0-9][a-z0-9-]{7,63}")
TOKEN = re.compile(r"[a-z0-9]{8,32}")
DIGEST = re.compile(r"[0-9a-f]{64}")

MODELS = "models/"
BLOBS = "blobs/sha256/"
CATALOGUE = "catalogue/models.json"
CHANGED = "catalogue/changed/"
TOKENS = "access/tokens/"


def model_name(name: str) -> str:
    if not is_model(name):
        raise BadInput(
            f"{name[:120]!r} is not a model name: use letters, digits, '.', '_' and '-', at most 100, "
            "starting with a letter or a digit, without '..'"
        )
    return name


def alias_name(name: str) -> str:
    if not ALIAS.fullmatch(name):
        raise BadInput(
            f"{name[:120]!r} is not an alias: use lower-case letters, digits and '-', at most 32, "
            "starting with a letter"
        )
    return name


def file_name(name: str) -> str:
    if not FILE.fullmatch(name) or ".." in name:
        raise BadInput(
            f"{name[:120]!r} is not a file name of a package: use letters, digits, '.', '_' and '-', no folders"
        )
    return name


def upload_id(name: str) -> str:
    if not UPLOAD.fullmatch(name):
        raise BadInput(f"{name[:120]!r} is not an upload id: take the one from the upload ticket")
    return name


def token_id(name: str) -> str:
    if not TOKEN.fullmatch(name):
        raise BadInput(f"{name[:120]!r} is not a token id: GET /tokens lists them")
    return name


def ticket(upload: str) -> str:
    return f"uploads/{upload_id(upload)}/ticket.json"


def upload_file(upload: str, file: str) -> str:
    return f"uploads/{upload_id(upload)}/files/{file_name(file)}"


def upload_state(model: str, upload: str) -> str:
    return f"{upload_states(model)}{upload_id(upload)}.json"


def upload_states(model: str) -> str:
    return f"models/{model_name(model)}/uploads/"


def log_record(model: str, revision: int) -> str:
    return f"{log(model)}{revision:012d}.json"


def log(model: str) -> str:
    return f"models/{model_name(model)}/log/"


def head(model: str) -> str:
    return f"models/{model_name(model)}/head.json"


def snapshots(model: str) -> str:
    return f"models/{model_name(model)}/snapshots/"


def snapshot(model: str, revision: int) -> str:
    return f"{snapshots(model)}{revision:012d}.json"


def changed(model: str, revision: int) -> str:
    return f"{CHANGED}{model_name(model)}/{revision:012d}"


def parse_changed(key: str) -> tuple[str, int] | None:
    """The model and the revision that a key of `changed` names; None for what somebody else left there."""
    model, _, revision = key.removeprefix(CHANGED).partition("/")
    return (model, int(revision)) if is_model(model) and re.fullmatch(r"\d{12}", revision, re.ASCII) else None


def is_model(name: str) -> bool:
    return MODEL.fullmatch(name) is not None and ".." not in name


def blob(digest: str) -> str:
    if not DIGEST.fullmatch(digest):
        raise BadInput(f"{digest[:80]!r} is not a SHA-256 digest: 64 lower-case hex digits")
    return f"{BLOBS}{digest}"


def token(name: str) -> str:
    return f"{TOKENS}{token_id(name)}.json"


def parse_event_key(raw: str) -> tuple[str, str, str] | None:
    """What a storage event's key stands for: ("upload", upload id, file), ("inbox", model, file), or None.

    Keys in S3 events are form-encoded. A key of another shape is none of ours, and is ignored.
    """
    key = unquote_plus(raw)
    parts = key.split("/")
    if len(parts) == 4 and parts[0] == "uploads" and parts[2] == "files" and UPLOAD.fullmatch(parts[1]):
        return "upload", parts[1], parts[3]
    if len(parts) == 3 and parts[0] == "inbox" and parts[2]:
        return "inbox", parts[1], parts[2]
    return None
