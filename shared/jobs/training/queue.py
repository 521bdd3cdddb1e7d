"""The job queue of AWS Batch: submit, find, stop a job. Its machines, time limit and retries are in template.yaml."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Unavailable

# all attempts together end before the function does, whoever waits for it
LIMITS = BotoConfig(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2, "mode": "standard"})


class BatchQueue:
    """A queue and the definition of its jobs, by ARN. Raises Unavailable when AWS Batch does not answer."""

    def __init__(self, queue: str, definition: str, endpoint_url: str | None = None, client: Any = None) -> None:
        self._queue, self._definition = queue, definition
        self._client = client or boto3.client("batch", endpoint_url=endpoint_url, config=LIMITS)

    def submit(self, job: str, deployment: str) -> str:
        """Returns the job's id in AWS Batch. deployment: a tag; the function may stop jobs with its own tag only."""
        answer = self._call(
            "submit_job",
            jobName=job,
            jobQueue=self._queue,
            jobDefinition=self._definition,
            parameters={"job": job},
            tags={"amaas": deployment},
        )
        return str(answer["jobId"])

    def find(self, aws_id: str) -> dict[str, Any] | None:
        """A JobDetail, as events have it; None for a job that AWS Batch does not keep any more."""
        details: list[dict[str, Any]] = self._call("describe_jobs", jobs=[aws_id])["jobs"]
        return details[0] if details else None

    def stop(self, aws_id: str, reason: str) -> None:
        """Stop a job that waits or runs; an ended one stays as it is."""
        self._call("terminate_job", jobId=aws_id, reason=reason)

    def _call(self, operation: str, **args: Any) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = getattr(self._client, operation)(**args)
        except ClientError as error:
            details = error.response["Error"]
            raise Unavailable(
                f"AWS Batch answered {details['Code']}: {details.get('Message', '')[:200]}; try again"
            ) from error
        except BotoCoreError as error:
            raise Unavailable(f"AWS Batch cannot be reached ({error}); try again") from error
        return reply
