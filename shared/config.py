"""The settings of a deployment, read from the environment once, when a function is wired; never at import."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

MiB = 1024 * 1024

# Of a function's memory, what one call may take of the process that answers: the rest is for Python and the models.
CALL_SHARE = 4
CALL_MEMORY = 448 * MiB  # where nobody says what the function has

# API Gateway and Lambda allow 6 MB per synchronous call, base64 included; the embedded cloud allows any size,
# so the limit is enforced here and is the same everywhere.
MAX_BODY_BYTES = int(4.5 * 1_000_000)

# for which the gateway replays the authorizer's answer: ReauthorizeEvery in template.yaml
AUTHORIZER_SECONDS = 10


class Config(Struct, frozen=True):
    """One deployment's settings.

    bucket: name of the data bucket. endpoint_url: an S3 endpoint other than AWS, or None.
    alias_ttl: seconds for which a resolved alias may be reused; a rollback takes effect within them.
    max_stale: seconds for which a model's last known state answers while the store is away; 0 for none.
    max_stale_token: seconds for which a token that was valid is let in while the store is away; 0 for none.
    models_dir: folder of the models layer; blobs found there need no download.
    quota_key: usage-plan key that the authorizer hands to the gateway, or None.
    signing_key: a KMS key, or `file:` and the path of a PEM file. public_keys: trusted public keys (DER); if empty,
    signatures are NOT verified. Those of the functions tokens and authorize are for tokens only.
    accept_unsigned: believe tokens of releases that did not sign them. token_days: for which a new token is valid.
    jwt_issuer, jwt_audience: of JWTs that are let in beside tokens, none if empty; jwt_claim, jwt_groups: where their
    scopes are, see access/jwt/callers.py.
    limits: of tokens that have none of their own, as access/limits.py encodes them. deployment: what the names of usage
    plans and their keys begin with; empty where all tokens share quota_key.
    batch_machine: ARN of the state machine that runs batch jobs.
    ingest_failures: URL of the queue of uploads' events that failed in all deliveries; empty if there is none.
    inbox_timer: ARN of the state machine that waits until a folder of the inbox is quiet, for inbox_quiet seconds;
    empty or 0: a folder is taken as soon as it lacks nothing that it names.
    notify_topic: ARN of the topic that tells people of the watcher's moves. webhook_url, webhook_secret: an address
    that is told, see release/webhook.py. Empty if there is none.
    training_queue, training_definition: of AWS Batch; empty if the deployment has no training queue.
    prefetch: models to load before the first call; None: those of the models layer, if it has one, or only small ones.
    trusted_models, trusted_signers: which models run in the process that answers, see serving/wall.py. model_memory:
    bytes that each other model may take beside its file. require_filter: not without the system-call filter.
    memory_mb: of this function, as Lambda says it; None elsewhere. inference_memory: of the one that predicts.
    prices: of what it takes, see cost/prices.py; empty: as remembered.
    label_days: for how long after an answer its label is taken.
    call_memory: bytes that one prediction may take of the process that answers, beside the model; see budget.py.
    generate_function: name of the function that generates text, or empty.
    threads: that one operator of a model that generates text is computed with.
    max_upload_bytes: largest single file of a package. upload_ttl: lifetime of upload URLs in seconds.
    """

    bucket: str
    endpoint_url: str | None = None
    alias_ttl: float = 2.0
    max_stale: float = 3600.0
    max_stale_token: float = 300.0
    models_dir: str = "/opt/models"
    quota_key: str | None = None
    max_upload_bytes: int = 250 * MiB
    upload_ttl: int = 3600
    cache_bytes: int = 1024 * MiB
    threads: int = 1
    generate_function: str = ""
    signing_key: str | None = None
    public_keys: tuple[bytes, ...] = ()
    accept_unsigned: bool = False
    token_days: float = 90.0
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_claim: str = "amaas_scopes"
    jwt_groups: str = ""
    limits: str = ""
    deployment: str = ""
    batch_machine: str = ""
    ingest_failures: str = ""
    inbox_timer: str = ""
    inbox_quiet: int = 20
    notify_topic: str = ""
    webhook_url: str = ""
    webhook_secret: str = ""
    training_queue: str = ""
    training_definition: str = ""
    prefetch: tuple[str, ...] | None = None
    trusted_models: str = "layer"
    trusted_signers: tuple[bytes, ...] = ()
    model_memory: int = 1024 * MiB
    require_filter: bool = True
    call_memory: int = CALL_MEMORY
    label_days: int = 90
    memory_mb: int | None = None
    inference_memory: int = 1769
    prices: str = ""

    @property
    def max_package_bytes(self) -> int:
        """Of all files of a package together: a model, and what belongs to it."""
        return 2 * self.max_upload_bytes

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Config:
        bucket = env.get("BUCKET")
        if not bucket:
            raise RuntimeError("BUCKET is not set: this function was deployed without its template")
        return cls(
            bucket=bucket,
            endpoint_url=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
            alias_ttl=float(env.get("ALIAS_TTL_SECONDS", "2")),
            max_stale=float(env.get("MAX_STALE_SECONDS", "3600")),
            max_stale_token=float(env.get("MAX_STALE_TOKEN_SECONDS", "300")),
            models_dir=env.get("MODELS_DIR", "/opt/models"),
            quota_key=env.get("QUOTA_KEY") or None,
            max_upload_bytes=int(env.get("MAX_UPLOAD_BYTES", str(250 * MiB))),
            upload_ttl=int(env.get("UPLOAD_TTL_SECONDS", "3600")),
            signing_key=env.get("SIGNING_KEY") or None,
            public_keys=_keys(env.get("PUBLIC_KEYS", "")),
            accept_unsigned=env.get("UNSIGNED_TOKENS") == "accept",
            token_days=float(env.get("TOKEN_DAYS", "90")),
            jwt_issuer=env.get("JWT_ISSUER", ""),
            jwt_audience=env.get("JWT_AUDIENCE", ""),
            jwt_claim=env.get("JWT_SCOPES_CLAIM") or "amaas_scopes",
            jwt_groups=env.get("JWT_GROUPS", ""),
            limits=env.get("LIMITS", ""),
            deployment=env.get("DEPLOYMENT", ""),
            batch_machine=env.get("BATCH_MACHINE", ""),
            ingest_failures=env.get("INGEST_FAILURES", ""),
            inbox_timer=env.get("INBOX_TIMER", ""),
            inbox_quiet=int(env.get("INBOX_QUIET_SECONDS", "20")),
            notify_topic=env.get("NOTIFY_TOPIC", ""),
            webhook_url=env.get("WEBHOOK_URL", ""),
            webhook_secret=env.get("WEBHOOK_SECRET", ""),
            training_queue=env.get("TRAINING_QUEUE", ""),
            training_definition=env.get("TRAINING_DEFINITION", ""),
            prefetch=tuple(env["PREFETCH"].split()) if env.get("PREFETCH", "*") != "*" else None,
            **_serving(env),
            call_memory=_call_memory(env),
            **_cost(env),
        )


def _serving(env: Mapping[str, str]) -> dict[str, Any]:
    """Of functions that have models run."""
    return {
        "cache_bytes": int(env.get("MODEL_CACHE_BYTES", str(1024 * MiB))),
        "generate_function": env.get("GENERATE_FUNCTION", ""),
        "threads": int(env.get("MODEL_THREADS", "1")),
        "trusted_models": env.get("TRUSTED_MODELS") or "layer",
        "trusted_signers": _keys(env.get("TRUSTED_SIGNERS", "")),
        "model_memory": int(env.get("MODEL_MEMORY_MIB", "1024")) * MiB,
        "require_filter": env.get("REQUIRE_SYSTEM_CALL_FILTER", "true") != "false",
    }


def _call_memory(env: Mapping[str, str]) -> int:
    """A share of what Lambda says that the function has."""
    function = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    return int(function) * MiB // CALL_SHARE if function else CALL_MEMORY


def _cost(env: Mapping[str, str]) -> dict[str, Any]:
    """What is counted of this function, and what is told to those that compute costs and take labels."""
    own = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    return {
        "memory_mb": int(own) if own else None,
        "inference_memory": int(env.get("INFERENCE_MEMORY_MB", "1769")),
        "prices": env.get("PRICES", ""),
        "label_days": int(env.get("LABEL_DAYS", "90")),
    }


def _keys(text: str) -> tuple[bytes, ...]:
    """Public keys (DER) from base64, separated by commas."""
    return tuple(base64.b64decode(key) for key in text.split(",") if key.strip())
