"""While a stack is deployed: the public half of its signing key, so that no call ever has to ask for it.

A custom resource of CloudFormation: the answer goes to a presigned URL, and without one the deployment would hang.
"""

from __future__ import annotations

import base64
import json
import logging
import urllib.request
from typing import Any

from aws_lambda_powertools.utilities.data_classes import CloudFormationCustomResourceEvent

import shared.entry  # noqa: F401 - sets up the log
from shared.signing.kms import KmsKey

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> None:
    received = CloudFormationCustomResourceEvent(event)
    answer: dict[str, Any] = {
        "Status": "SUCCESS",
        "PhysicalResourceId": received.physical_resource_id or received.logical_resource_id,
        "StackId": received.stack_id,
        "RequestId": received.request_id,
        "LogicalResourceId": received.logical_resource_id,
    }
    try:
        if received.request_type != "Delete":
            answer["Data"] = {"Value": public_key(received.resource_properties)}
    except Exception as error:  # whatever it is, the deployment has to learn of it
        logger.exception("no public key")
        answer |= {"Status": "FAILED", "Reason": f"the signing key could not be read: {error}"}
    respond(received.response_url, answer)


def public_key(properties: dict[str, Any]) -> str:
    """The key's public half: DER, in base64."""
    key = KmsKey(properties["Key"], properties.get("Endpoint") or None)
    return base64.b64encode(key.public).decode()


def respond(url: str, answer: dict[str, Any]) -> None:
    # an empty content type is what CloudFormation's presigned URLs are signed for
    request = urllib.request.Request(url, json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310 - the URL is CloudFormation's own
    with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310 - as above
        reply.read()
