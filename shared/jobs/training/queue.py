"""The job queue of AWS Batch: send a job, ask for it, stop it. What runs it, and how often: template.yaml."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Unavailable


class BatchQueue:
    """A queue with the definition of its jobs. Raises Unavailable when AWS Batch does not answer."""

    def __init__(self, queue: str, definition: str, endpoint_url: str | None = None, client: Any = None) -> None:
        self._queue, self._definition = queue, definition
        self._client = client or boto3.client("batch", endpoint_url=endpoint_url)

    def submit(self, job: str, deployment: str) -> str:
        """Returns the job's number in AWS Batch. deployment: a tag, without which it may not be stopped."""
        answer = self._call(
            "submit_job",
            jobName=job,
            jobQueue=self._queue,
            jobDefinition=self._definition,
            parameters={"job": job},
            tags={"amaas": deployment},
        )
        return str(answer["jobId"])

    def find(self, number: str) -> dict[str, Any] | None:
        """A JobDetail, as events have it; None for a job that AWS Batch has forgotten."""
        found: list[dict[str, Any]] = self._call("describe_jobs", jobs=[number])["jobs"]
        return found[0] if found else None

    def stop(self, number: str, reason: str) -> None:
        """Whether it waits or runs; one that is over stays as it is."""
        self._call("terminate_job", jobId=number, reason=reason)

    def _call(self, operation: str, **args: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**args)
        except ClientError as error:
            said = error.response["Error"]
            raise Unavailable(
                f"AWS Batch answered {said['Code']}: {said.get('Message', '')[:200]}; try again"
            ) from error
        except BotoCoreError as error:
            raise Unavailable(f"AWS Batch is out of reach ({error}); try again") from error
        return answer
