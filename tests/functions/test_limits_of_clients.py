"""Whoever calls a service of AWS gives up before its own function is ended, whatever the service does."""

from __future__ import annotations

from typing import Any

import pytest

from shared import deadline
from shared.jobs.batch.machine import StateMachine
from shared.jobs.training.queue import BatchQueue
from shared.signing.kms import KmsKey
from shared.storage import attempts
from shared.storage.s3 import S3Store
from shared.uploads.failures import FailureQueue
from shared.uploads.quiet_machine import QuietMachine

HERE = "http://127.0.0.1:9"
FUNCTION = 29.0  # seconds: Globals in template.yaml
PAUSE = 2.0  # of the SDK before a second attempt, at most; before a third 4


@pytest.mark.parametrize(
    "client",
    [
        StateMachine("arn", HERE)._client,
        BatchQueue("queue", "definition", HERE)._client,
        FailureQueue("url", HERE)._client,
        QuietMachine("arn", 20, HERE)._client,
        KmsKey("key", HERE)._client,
    ],
    ids=lambda client: client.meta.service_model.service_name,
)
def test_all_attempts_end_in_time(client: Any) -> None:
    config = client.meta.config
    number = config.retries["total_max_attempts"]
    longest = number * (config.connect_timeout + config.read_timeout) + sum(PAUSE * n for n in range(1, number))
    assert longest < FUNCTION - deadline.MARGIN


def test_a_submission_is_never_repeated_by_the_sdk_and_its_three_calls_end_in_time() -> None:
    config = BatchQueue("queue", "definition", HERE)._once.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert 3 * (config.connect_timeout + config.read_timeout) < FUNCTION - deadline.MARGIN


@pytest.mark.parametrize("limit", attempts.LIMITS)
def test_the_stores_clients_keep_each_limit_alone(limit: float) -> None:
    config = S3Store("b", HERE)._client(limit).meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (limit, 1)
    assert config.connect_timeout <= limit
