"""The job queue of AWS Batch: submit, find, stop a job. Its machines, time limit and retries are in template.yaml."""

from __future__ import annotations

from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable
from shared.jobs.training.runs import Refused

# all attempts together end before the function does, whoever waits for it
LIMITS = BotoConfig(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2, "mode": "standard"})
# AWS Batch takes no token by which it would know a repeated submission: the SDK must not repeat one by itself.
# Three such calls end before the function does.
ONCE = BotoConfig(connect_timeout=2, read_timeout=6, retries={"total_max_attempts": 1})


class BatchQueue:
    """A queue and the definition of its jobs, by ARN. Raises Unavailable when AWS Batch does not answer."""

    def __init__(self, queue: str, definition: str, endpoint_url: str | None = None) -> None:
        self._queue, self._definition = queue, definition
        self._client = aws.client("batch", endpoint_url=endpoint_url, config=LIMITS)
        self._once = aws.client("batch", endpoint_url=endpoint_url, config=ONCE)

    def submit(self, job: str, deployment: str) -> str:
        """Returns the job's id in AWS Batch. deployment: a tag; the function may stop jobs with its own tag only.

        Raises Refused where it is certain that the job was not taken; Unavailable where it may have been.
        """
        try:
            answer = self._once.submit_job(
                jobName=job,
                jobQueue=self._queue,
                jobDefinition=self._definition,
                parameters={"job": job},
                tags={"amaas": deployment},
            )
        except ClientError as error:
            is_certain = error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
            raise (Refused if is_certain else Unavailable)(_answered(error)) from error
        except BotoCoreError as error:
            raise Unavailable(f"AWS Batch cannot be reached ({error}); try again") from error
        return str(answer["jobId"])

    def find_submitted(self, job: str) -> str | None:
        """The id in AWS Batch of a job that was submitted; None where the queue does not list it."""
        of_name = [{"name": "JOB_NAME", "values": [job]}]
        listed = self._call("list_jobs", self._once, jobQueue=self._queue, filters=of_name)
        # newest first: of two, the first one that was submitted
        return str(listed["jobSummaryList"][-1]["jobId"]) if listed["jobSummaryList"] else None

    def find(self, aws_id: str) -> dict[str, Any] | None:
        """A JobDetail, as events have it; None for a job that AWS Batch does not keep any more."""
        details: list[dict[str, Any]] = self._call("describe_jobs", jobs=[aws_id])["jobs"]
        return details[0] if details else None

    def stop(self, aws_id: str, reason: str) -> None:
        """Stop a job that waits or runs; an ended one stays as it is."""
        self._call("terminate_job", jobId=aws_id, reason=reason)

    def _call(self, operation: str, client: Any = None, **args: Any) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = getattr(client or self._client, operation)(**args)
        except ClientError as error:
            raise Unavailable(_answered(error)) from error
        except BotoCoreError as error:
            raise Unavailable(f"AWS Batch cannot be reached ({error}); try again") from error
        return reply


def _answered(error: ClientError) -> str:
    details = error.response["Error"]
    return f"AWS Batch answered {details['Code']}: {details.get('Message', '')[:200]}; try again"
