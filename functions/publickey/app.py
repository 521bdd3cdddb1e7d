"""While a stack is deployed: the public half of its signing key, so that no call ever has to ask for it.

A custom resource of CloudFormation: the answer goes to a presigned URL, and without one the deployment would hang.
"""

from __future__ import annotations

import base64
import json
import logging
import urllib.request
from typing import Any

import shared.entry  # noqa: F401 - sets up the log
from shared.signing.kms import KmsKey

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> None:
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["LogicalResourceId"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    try:
        if event["RequestType"] != "Delete":
            answer["Data"] = {"Value": public_key(event["ResourceProperties"])}
    except Exception as error:  # whatever it is, the deployment has to learn of it
        logger.exception("no public key")
        answer |= {"Status": "FAILED", "Reason": f"the signing key could not be read: {error}"}
    respond(event["ResponseURL"], answer)


def public_key(properties: dict[str, Any]) -> str:
    """The key's public half: DER, in base64."""
    key = KmsKey(properties["Key"], properties.get("Endpoint") or None)
    return base64.b64encode(key.public).decode()


def respond(url: str, answer: dict[str, Any]) -> None:
    # an empty content type is what CloudFormation's presigned URLs are signed for
    request = urllib.request.Request(url, json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310 - the URL is CloudFormation's own
    with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310 - as above
        reply.read()
