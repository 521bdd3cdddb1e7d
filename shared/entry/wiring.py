"""What functions work with, made when first asked for: settings, the store, the models' logs, the signing key."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from shared.config import Config
from shared.storage.base import Store

if TYPE_CHECKING:  # the authorizer does without
    from shared.access.limits import Plans
    from shared.access.records import Seals
    from shared.registry.log import Log
    from shared.registry.state import Head
    from shared.signing.base import Signer

logger = logging.getLogger(__name__)


@cache
def config() -> Config:
    """This deployment's settings, read when first asked for."""
    return Config.from_env(os.environ)


@cache
def store() -> Store:
    """The data bucket; boto3 is imported with the first call that is more than a read."""
    from shared.storage import light

    return light.store(config().bucket, config().endpoint_url)


@cache
def log() -> Log:
    """The models' logs: read, and written with the deployment's key where this function has it."""
    from shared.registry.log import Log

    key = signer()
    trusted = config().public_keys or ((key.public,) if key else ())
    return Log(store(), signer=key, trusted=trusted, on_commit=_committed)


@cache
def reading() -> Log:
    """The models' logs for functions that only read them, and whose cold start counts."""
    from shared.registry.log import Log

    return Log(store(), trusted=config().public_keys)


def _committed(log: Log, head: Head) -> None:
    """A line in the function's log for each transition: a witness of revision and digest outside of the bucket."""
    from shared.registry import catalog  # with its listings and thread pools, which no answer waits for

    logger.info("transition", extra={"model": head.model, "revision": head.revision, "digest": head.digest})
    catalog.compact_sometimes(log, head)


@cache
def signer() -> Signer | None:
    """The deployment's signing key, for functions that may use it."""
    return _signer(config())


def _signer(settings: Config) -> Signer | None:
    key = settings.signing_key
    if key is None:
        return None
    if key.startswith("file:"):
        from shared.signing.local import LocalKey

        return LocalKey.load(key.removeprefix("file:"))
    from shared.signing.kms import KmsKey

    return KmsKey(key, settings.endpoint_url)


@cache
def plans(settings: Config) -> Plans | None:
    """The usage plans, for the function that creates tokens; None where all tokens share a key."""
    if not settings.deployment:
        return None
    from shared.access.gateway import UsagePlans  # boto3, for the few calls that create or end a token

    return UsagePlans(settings.deployment, settings.endpoint_url)


@cache
def seals(settings: Config) -> Seals:
    """What tokens are sealed with, for the functions of tokens, whose key is theirs alone."""
    from shared.access.records import Seals

    key = _signer(settings)
    trusted = settings.public_keys or ((key.public,) if key else ())
    return Seals(key, trusted, settings.accept_unsigned)
