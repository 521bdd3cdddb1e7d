"""The only module, with batch_keys.py, that builds object keys, always from validated names.

uploads/{upload}/ticket.json, uploads/{upload}/files/{file}   an upload session and its files; expires
uploads/{upload}/state.json                                   the state of an upload that is of no model; expires
inbox/{model}/{file}, inbox/{model}.zip                       packages put with any S3 tool: uploads/inbox_packages.py
blobs/sha256/{digest}                                         content-addressed, written once
models/{model}/log/{revision:012d}.json                       the registry's log
models/{model}/head.json                                      the state after a revision of the log
models/{model}/snapshots/{revision:012d}.json                 the same at some revisions, in case the head is lost
models/{model}/uploads/{upload}.json                          the state of each upload
unfinished/{model}/{upload}                                   marker of an upload without an end state
catalogue/models.json                                         the catalog: an index of all models, from their heads
catalogue/changed/{model}/{revision:012d}                     markers of changes that the catalog does not have yet
access/tokens/{token}.json                                    salted hashes of tokens, signed
access/revoked/{token}.json                                   that a token was revoked or replaced, signed
access/used/{token}.json                                      the last day on which a token was used
limits/{owner}/{limit}/{name}/{marker}                        what a token uses of its limits: access/slots.py; expires
batch/{job}/…                                                 a batch job: batch_keys.py; all of batch/ expires
idempotency/{hash}.json                                       what a call with an Idempotency-Key was answered; expires
scrub/state.json                                              what the scrubber has seen, and how far it is
datasets/{name}/…                                             training data, uploaded by an operator
training/{job}/job.json                                       the request; all of training/ expires
training/{job}/{batch,container,cancel}.json                  reports of AWS Batch and the container; a cancellation
training/{job}/deletion.json                                  that the job's data was deleted
training/{job}/metrics.jsonl, training/{job}/checkpoint/…     written by the container while it trains
training/{job}/report/{file}                                  items that cleaning removed, and plots
stats/raw/{hour}/{minute}-{process}-{number}                  what a process counted of calls; all of stats/ expires
stats/hours/{hour}                                            the sum of an hour's raw objects, and which are in it
stats/models/{model}/{day}                                    a model's counts by hour: a cache made of the hours
"""

from __future__ import annotations

import re

from shared.errors import BadInput
from shared.plain_text import is_plain_text

# compiled when first used: compiling them all would take 2 ms of each cold start
MODEL = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
ALIAS = r"[a-z][a-z0-9-]{0,31}"
FILE = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
UPLOAD = r"[a-z0-9][a-z0-9-]{7,63}"
TOKEN = r"[a-z0-9]{8,32}"  # noqa: S105 - a pattern
DIGEST = r"[0-9a-f]{64}"
OWNER = r"[A-Za-z0-9_-]{1,64}"
ID = r"[0-9a-f]{11}-[0-9a-f]{16}"  # as clock.py makes them
TRAINING = ID
TRAINING_UPLOAD = "training-"
CHECKPOINT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
DATASET = r"datasets/[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[^/]+)*"

MODELS = "models/"
BLOBS = "blobs/sha256/"
CATALOG = "catalogue/models.json"
CHANGED = "catalogue/changed/"
TOKENS = "access/tokens/"
REVOKED = "access/revoked/"
USED = "access/used/"
LIMITS = "limits/"
TRAININGS = "training/"
IDEMPOTENCY = "idempotency/"
SCRUB = "scrub/state.json"
UPLOADS = "uploads/"
INBOX = "inbox/"
STATS_RAW = "stats/raw/"
STATS_HOURS = "stats/hours/"
UNFINISHED = "unfinished/"


def model_name(name: str) -> str:
    if not is_model(name):
        own, _, reference = name.partition("@")
        if reference and is_model(own):
            raise BadInput(
                f"{name[:120]!r} is a model's version: over HTTP that is /models/{own}/versions/{reference[:40]}"
            )
        raise BadInput(
            f"{name[:120]!r} is not a model name: use letters, digits, '.', '_' and '-', at most 100, "
            "starting with a letter or a digit, without '..'"
        )
    return name


def alias_name(name: str) -> str:
    if not re.fullmatch(ALIAS, name):
        raise BadInput(
            f"{name[:120]!r} is not an alias: use lower-case letters, digits and '-', at most 32, "
            "starting with a letter"
        )
    return name


def file_name(name: str) -> str:
    if not re.fullmatch(FILE, name) or ".." in name:
        raise BadInput(
            f"{name[:120]!r} is not a file name of a package: use letters, digits, '.', '_' and '-', no folders"
        )
    return name


def upload_id(name: str) -> str:
    if not is_upload(name):
        raise BadInput(f"{name[:120]!r} is not an upload id: take the one from POST /models/{{model}}/uploads")
    return name


def token_id(name: str) -> str:
    if not re.fullmatch(TOKEN, name):
        raise BadInput(f"{name[:120]!r} is not a token id: GET /tokens lists them")
    return name


def upload_session(upload: str) -> str:
    return f"uploads/{upload_id(upload)}/ticket.json"


def upload_objects(upload: str) -> str:
    """The prefix of an upload's session and files."""
    return f"{UPLOADS}{upload_id(upload)}/"


def inbox_folder(model: str) -> str:
    """The prefix of what was put into the inbox of a model."""
    return f"{INBOX}{model_name(model)}/"


def unfinished(model: str, upload: str) -> str:
    return f"{UNFINISHED}{model_name(model)}/{upload_id(upload)}"


def parse_unfinished(key: str) -> tuple[str, str] | None:
    """The model and the upload that a key of `unfinished` names; None for any other object there."""
    model, _, upload = key.removeprefix(UNFINISHED).partition("/")
    return (model, upload) if is_model(model) and is_upload(upload) else None


def upload_file(upload: str, file: str) -> str:
    return f"uploads/{upload_id(upload)}/files/{file_name(file)}"


def upload_state(model: str, upload: str) -> str:
    """model: empty for an object of the inbox that is no model's, whose id is always one of ours."""
    if not model and is_id(upload):
        return f"{upload_objects(upload)}state.json"
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
    """The model and the revision that a key of `changed` names; None for any other object there."""
    model, _, revision = key.removeprefix(CHANGED).partition("/")
    return (model, int(revision)) if is_model(model) and re.fullmatch(r"\d{12}", revision, re.ASCII) else None


def is_model(name: str) -> bool:
    return re.fullmatch(MODEL, name) is not None and ".." not in name


def is_upload(name: str) -> bool:
    return re.fullmatch(UPLOAD, name) is not None


def blob(digest: str) -> str:
    if not re.fullmatch(DIGEST, digest):
        raise BadInput(f"{digest[:80]!r} is not a SHA-256 digest: 64 lower-case hex digits")
    return f"{BLOBS}{digest}"


def token(name: str, folder: str = TOKENS) -> str:
    return f"{folder}{token_id(name)}.json"


def slots(owner: str, limit: str) -> str:
    """The prefix of what counts against a limit. owner: id of a token, or of a caller without one."""
    if not re.fullmatch(OWNER, owner):
        raise BadInput(f"{owner[:120]!r} is not the id of a caller")
    return f"{LIMITS}{owner}/{limit}/"


def idempotency(digest: str) -> str:
    """digest: of the caller and the key, so that no caller can name another's."""
    return f"{IDEMPOTENCY}{digest}.json"


def is_id(name: str) -> bool:
    """Whether a function of ours made up an id: no other may be written by who has no right to all of its kind."""
    return re.fullmatch(ID, name) is not None


def is_training(job: str) -> bool:
    return is_id(job)


def is_training_upload(upload: str) -> bool:
    """Whether a training container may have written an upload's objects: the role may, by this prefix, any of them."""
    return upload.startswith(TRAINING_UPLOAD)


def training(job: str) -> str:
    """The prefix of a training job's objects. Raises BadInput."""
    if not is_training(job):
        raise BadInput(f"{job[:120]!r} is not the id of a training job: GET /training-jobs lists them")
    return f"{TRAININGS}{job}/"


def training_record(job: str, record: str) -> str:
    """record: `job`, `batch`, `container`, `cancel` or `deletion`."""
    return f"{training(job)}{record}.json"


def training_metrics(job: str) -> str:
    return f"{training(job)}metrics.jsonl"


def training_reports(job: str) -> str:
    return f"{training(job)}report/"


def training_report(job: str, file: str) -> str:
    return f"{training_reports(job)}{file_name(file)}"


def training_checkpoints(job: str) -> str:
    return f"{training(job)}checkpoint/"


def training_checkpoint(job: str, file: str) -> str:
    if not re.fullmatch(CHECKPOINT, file):
        raise BadInput(f"{file[:120]!r} is not a checkpoint's name: use letters, digits, '.', '_' and '-'")
    return f"{training_checkpoints(job)}{file}"


def dataset(key: str) -> str:
    """A key or prefix of training data, without a final slash. Raises BadInput."""
    plain = key.rstrip("/")
    if not re.fullmatch(DATASET, plain) or not is_plain_text(plain) or not all(s.strip(".") for s in plain.split("/")):
        raise BadInput(f"{key[:120]!r} is not a location of training data: it must be under datasets/NAME")
    return plain


def stats_raw(hour: str, minute: int, process: str, number: int) -> str:
    """hour: of the calls, as in 20260131T17. minute: when it is written, for readers only. process: 16 hex digits."""
    return f"{STATS_RAW}{hour}/{minute:02d}-{process}-{number:06d}"


def parse_stats_raw(key: str) -> tuple[str, str, int] | None:
    """The hour, process and number that a raw object's key names; None for any other object there."""
    found = re.fullmatch(STATS_RAW + r"(\d{8}T\d{2})/\d{2}-([0-9a-f]{16})-(\d{6,12})", key, re.ASCII)
    return (found[1], found[2], int(found[3])) if found else None


def stats_hour(hour: str) -> str:
    return f"{STATS_HOURS}{hour}"


def stats_day(model: str, day: str) -> str:
    """day: as in 20260131."""
    return f"stats/models/{model_name(model)}/{day}"


def parse_upload_file(key: str) -> tuple[str, str] | None:
    """The upload and the file that a key of a session's files names; None for any other key."""
    found = re.fullmatch(rf"uploads/({UPLOAD})/files/([^/]+)", key)
    return (found[1], found[2]) if found else None


def decode_event_key(raw: str) -> str:
    """The key of an object from a storage event, where it is form-encoded."""
    from urllib.parse import unquote_plus

    return unquote_plus(raw)
