"""A signing key in AWS KMS: the private key never leaves the service."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable


class KmsKey:
    """An asymmetric key of spec ECC_NIST_P256. key: its id or ARN."""

    def __init__(self, key: str, endpoint_url: str | None = None) -> None:
        self.key = key
        self._endpoint = endpoint_url

    @cached_property
    def _client(self) -> Any:
        # signing twice is harmless, so the SDK may retry; all attempts together end before the function does
        config = BotoConfig(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 3, "mode": "standard"})
        return aws.client("kms", endpoint_url=self._endpoint, config=config)

    @cached_property
    def public(self) -> bytes:
        return bytes(self._call("get_public_key")["PublicKey"])

    def sign(self, message: bytes) -> bytes:
        # hashed here, because KMS takes messages of at most 4,096 bytes
        digest = hashlib.sha256(message).digest()
        reply = self._call("sign", Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
        return bytes(reply["Signature"])

    def _call(self, operation: str, **args: Any) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = getattr(self._client, operation)(KeyId=self.key, **args)
            return reply
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"the signing key does not answer ({error}); nothing was changed, try again") from error
