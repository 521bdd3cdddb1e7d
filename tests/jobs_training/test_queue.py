"""The queue against moto's AWS Batch: the calls are ones that it takes, its answers ones that status.py reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from shared.clock import new_id, now
from shared.jobs.training import job as jobs
from shared.jobs.training import runs, status
from shared.jobs.training.job import Job
from shared.jobs.training.queue import BatchQueue
from shared.jobs.training.request import TrainingRequest
from shared.jobs.training.runs import Refused
from shared.storage.memory import MemoryStore


@pytest.fixture
def batch() -> Iterator[Any]:
    with mock_aws(config={"batch": {"use_docker": False}}):
        yield boto3.client("batch")


@pytest.fixture
def queue(batch: Any) -> BatchQueue:
    """A queue as template.yaml makes one: spot machines, retries, a placeholder for the job."""
    ec2, iam = boto3.client("ec2"), boto3.client("iam")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    profile = iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]
    machines = batch.create_compute_environment(
        computeEnvironmentName="machines",
        type="MANAGED",
        serviceRole=role,
        computeResources={
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": 4,
            "instanceTypes": ["c5.large"],
            "subnets": [subnet],
            "securityGroupIds": [group],
            "instanceRole": profile,
        },
    )["computeEnvironmentArn"]
    job_queue = batch.create_job_queue(
        jobQueueName="q", state="ENABLED", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": machines}],
    )["jobQueueArn"]  # fmt: skip
    definition = batch.register_job_definition(
        jobDefinitionName="d",
        type="container",
        parameters={"job": ""},
        containerProperties={
            "image": "training:1",
            "command": ["python", "-m", "training.job.run", "Ref::job"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        },
    )["jobDefinitionArn"]
    return BatchQueue(job_queue, definition)


def test_a_job_is_submitted_and_its_status_recorded(queue: BatchQueue) -> None:
    store = MemoryStore()
    job = jobs.create(store, Job(id=new_id(), model="m", data="d", by="ann", created_at=now()))
    aws_id = queue.submit(job.id, "bucket")
    status.record_submission(store, job.id, aws_id, now())
    detail = queue.find(aws_id)
    assert detail is not None
    assert detail["jobName"] == job.id
    report = status.record(store, detail, now())
    assert report is not None
    assert (report.id, report.status) == (aws_id, "SUCCEEDED"), "moto's jobs that use no Docker succeed at once"
    queue.stop(aws_id, "cancelled")
    assert queue.find("4c7599ae-0a82-49aa-ba5a-4727fcce14a8") is None


def test_an_error_of_aws_batch_is_reported(batch: Any) -> None:
    """As one after which the job was not taken for certain."""
    with pytest.raises(Refused, match=r"AWS Batch answered \w+: .+; try again"):
        BatchQueue("arn:aws:batch:us-east-1:123456789012:job-queue/gone", "none:1").submit(new_id(), "bucket")


def lose_replies(queue: BatchQueue, operation: str, count: list[int]) -> None:
    """Each call is carried out, and its reply is lost."""

    def lost(**_: Any) -> None:
        count.append(1)
        raise EndpointConnectionError(endpoint_url="lost")

    queue._once.meta.events.register(f"after-call.batch.{operation}", lost)


def test_a_job_whose_reply_is_lost_is_submitted_once(queue: BatchQueue) -> None:
    replies: list[int] = []
    lose_replies(queue, "SubmitJob", replies)
    store = MemoryStore()
    request = TrainingRequest(model="m", data="fashion-mnist")
    job = runs.start(store, queue, request, "ann", "amaas")
    report = status.read_report(store, job.id)
    listed = queue._client.list_jobs(jobQueue=queue._queue, filters=[{"name": "JOB_NAME", "values": [job.id]}])
    assert report is not None
    assert [one["jobId"] for one in listed["jobSummaryList"]] == [report.id]
    assert (len(replies), queue.find_submitted(new_id())) == (1, None)
