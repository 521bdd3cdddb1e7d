"""The only module that builds object keys, always from validated names.

uploads/{upload}/ticket.json, uploads/{upload}/files/{file}   an upload session and its files; expires
inbox/{model}/{file}.onnx                                     a model uploaded with any S3 tool
blobs/sha256/{digest}                                         content-addressed, written once
models/{model}/log/{revision:012d}.json                       the registry's log
models/{model}/head.json                                      the state after a revision of the log
models/{model}/snapshots/{revision:012d}.json                 the same at some revisions, in case the head is lost
models/{model}/uploads/{upload}.json                          the state of each upload
catalogue/models.json                                         the catalog: an index of all models, from their heads
catalogue/changed/{model}/{revision:012d}                     markers of changes that the catalog does not have yet
access/tokens/{token}.json                                    salted hashes of tokens
idempotency/{hash}.json                                       what a call with an Idempotency-Key was answered; expires
scrub/state.json                                              what the scrubber has seen, and how far it is
batch/{job}/in/{file}                                         inputs of a batch job; all of batch/ expires
batch/{job}/{job,plan,planned}.json, batch/{job}/plan/…       the request, and its division into chunks
batch/{job}/out/{chunk:06d}.jsonl                             a chunk's answers, written once
batch/{job}/done/{chunk:06d}-{inputs}-{failed}                marker of a finished chunk: progress is a listing
batch/{job}/part/…, batch/{job}/trouble/…, batch/{job}/runs/… a part of a chunk; why one failed; starts and ends
datasets/{name}/…                                             training data, uploaded by an operator
training/{job}/job.json                                       the request; all of training/ expires
training/{job}/{batch,container,cancel}.json                  reports of AWS Batch and the container; a cancellation
training/{job}/metrics.jsonl, training/{job}/checkpoint/…     written by the container while it trains
training/{job}/report/{file}                                  items that cleaning removed, and plots
"""

from __future__ import annotations

import re

from shared.errors import BadInput

# compiled when first used: compiling them all would take 2 ms of each cold start
MODEL = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
ALIAS = r"[a-z][a-z0-9-]{0,31}"
FILE = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
UPLOAD = r"[a-z0-9][a-z0-9-]{7,63}"
TOKEN = r"[a-z0-9]{8,32}"  # noqa: S105 - a pattern
DIGEST = r"[0-9a-f]{64}"
BATCH = r"[a-z0-9][a-z0-9-]{0,63}"
BATCH_PREFIX = r"batch/([a-z0-9][a-z0-9-]{0,63})/in/(.*)"
DONE = r"([0-9]{6})-([0-9]+)-([0-9]+)"
TRAINING = r"[0-9a-f]{11}-[0-9a-f]{16}"
CHECKPOINT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
DATASET = r"datasets/[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[^/]+)*"

MODELS = "models/"
BLOBS = "blobs/sha256/"
CATALOG = "catalogue/models.json"
CHANGED = "catalogue/changed/"
TOKENS = "access/tokens/"
TRAININGS = "training/"
IDEMPOTENCY = "idempotency/"
SCRUB = "scrub/state.json"


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


def token(name: str) -> str:
    return f"{TOKENS}{token_id(name)}.json"


def idempotency(digest: str) -> str:
    """digest: of the caller and the key, so that no caller can name another's."""
    return f"{IDEMPOTENCY}{digest}.json"


def batch(job: str) -> str:
    """The prefix of a batch job's objects. Raises BadInput."""
    if not re.fullmatch(BATCH, job):
        raise BadInput(f"{job[:120]!r} is not the id of a batch job: take the one from POST /models/{{model}}/batch")
    return f"batch/{job}/"


def batch_input(job: str, file: str) -> str:
    """The key of an input file; `file` may have folders. Raises BadInput."""
    segments = file.split("/")
    if not 0 < len(file.encode()) <= 512 or not file.isprintable() or not all(s.strip(".") for s in segments):
        raise BadInput(
            f"{file[:120]!r} is not a name for an input: use a relative path of at most 512 bytes, without control "
            "characters, empty segments, '.' and '..'"
        )
    return f"{batch(job)}in/{file}"


def batch_prefix(prefix: str) -> tuple[str, str]:
    """The job, or other name, that a prefix of inputs is under, and the prefix with a final slash. Raises BadInput."""
    match = re.fullmatch(BATCH_PREFIX, prefix)
    if not match or not all(part.strip(".") for part in match[2].rstrip("/").split("/") if match[2]):
        raise BadInput(f"{prefix[:120]!r} is not a prefix of batch inputs: they must be under batch/NAME/in/")
    return match[1], prefix.rstrip("/") + "/"


def batch_output(job: str, chunk: int) -> str:
    return f"{batch(job)}out/{chunk:06d}.jsonl"


def batch_done(job: str, chunk: int, inputs: int, failed: int) -> str:
    return f"{batch(job)}done/{chunk:06d}-{inputs}-{failed}"


def parse_batch_done(key: str) -> tuple[int, int, int] | None:
    """Chunk, inputs and failed inputs of a key of `batch_done`; None for any other object there."""
    match = re.fullmatch(DONE, key.rpartition("/")[2])
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def batch_part(job: str, chunk: int, first: int) -> str:
    return f"{batch(job)}part/{chunk:06d}/{first:06d}.jsonl"


def batch_errors(job: str) -> str:
    return f"{batch(job)}trouble/"


def batch_error(job: str, chunk: int) -> str:
    return f"{batch_errors(job)}{chunk:06d}.json"


def batch_run(job: str, run: int, event: str) -> str:
    """event: `start`, `cancel` or `end`."""
    return f"{batch(job)}runs/{run:06d}.{event}.json"


def is_training(job: str) -> bool:
    return re.fullmatch(TRAINING, job) is not None


def training(job: str) -> str:
    """The prefix of a training job's objects. Raises BadInput."""
    if not is_training(job):
        raise BadInput(f"{job[:120]!r} is not the id of a training job: GET /training-jobs lists them")
    return f"{TRAININGS}{job}/"


def training_record(job: str, record: str) -> str:
    """record: `job`, `batch`, `container` or `cancel`."""
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
    if not re.fullmatch(DATASET, plain) or not plain.isprintable() or not all(s.strip(".") for s in plain.split("/")):
        raise BadInput(f"{key[:120]!r} is not a location of training data: it must be under datasets/NAME")
    return plain


def parse_event_key(raw: str) -> tuple[str, str, str] | None:
    """A storage event's key as ("upload", upload id, file) or ("inbox", model, file); None for any other key.

    raw: form-encoded, as in S3 events.
    """
    from urllib.parse import unquote_plus

    key = unquote_plus(raw)
    parts = key.split("/")
    if len(parts) == 4 and parts[0] == "uploads" and parts[2] == "files" and re.fullmatch(UPLOAD, parts[1]):
        return "upload", parts[1], parts[3]
    if len(parts) == 3 and parts[0] == "inbox" and parts[2]:
        return "inbox", parts[1], parts[2]
    return None
