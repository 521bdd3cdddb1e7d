"""Limits of calls: a key of API Gateway for each token, in a usage plan with the token's numbers.

Tokens with the deployment's own numbers share the plan of the template; for other numbers there is one plan for each
combination in use, created with the first token that has it. A plan counts each of its keys apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.access.limits import Limits, usage_key
from shared.errors import Conflict, Unavailable

PAGE = 500


class UsagePlans:
    """deployment: the stack's name, which the names of its plans and keys begin with."""

    def __init__(self, deployment: str, endpoint_url: str | None = None) -> None:
        self._deployment = deployment
        self._endpoint = endpoint_url

    @cached_property
    def _client(self) -> Any:
        config = BotoConfig(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"})
        return aws.client("apigateway", endpoint_url=self._endpoint, config=config)

    def assign(self, key: str, own: Limits, defaults: Limits) -> None:
        """As limits.Plans has it."""
        plan = self._plan(own.over(defaults)) if own.of_calls else self._standard["id"]
        name = usage_key(self._deployment, key)
        created = self._call("create_api_key", "ConflictException", name=name, value=name, enabled=True)
        identity = created["id"] if created else self._find(name)
        self._call("create_usage_plan_key", "ConflictException", usagePlanId=plan, keyId=identity, keyType="API_KEY")

    def release(self, key: str) -> None:
        """As limits.Plans has it."""
        identity = self._find(usage_key(self._deployment, key))
        if identity:
            self._call("delete_api_key", "NotFoundException", apiKey=identity)

    def keys(self) -> dict[str, float]:
        """As limits.Plans has it."""
        beginning = usage_key(self._deployment, "")
        items = self._pages("get_api_keys", nameQuery=beginning)
        return {item["name"].removeprefix(beginning): item["createdDate"].timestamp() for item in items}

    def _find(self, name: str) -> str | None:
        listed = self._call("get_api_keys", nameQuery=name, limit=PAGE)
        return next((item["id"] for item in listed["items"] if item["name"] == name), None)

    @property
    def _standard(self) -> dict[str, Any]:
        name = f"{self._deployment}-standard"
        plan = self._plans().get(name)
        if plan is None:
            raise Unavailable(f"there is no usage plan {name}: the deployment is incomplete, deploy it again")
        return plan

    def _plans(self) -> dict[str, dict[str, Any]]:
        plans: dict[str, dict[str, Any]] = {}
        for plan in self._pages("get_usage_plans"):
            plans.setdefault(plan.get("name", ""), plan)  # two at the same time may have created it: either will do
        return plans

    def _pages(self, operation: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        position: dict[str, Any] = {}
        while True:
            page = self._call(operation, limit=PAGE, **arguments, **position)
            yield from page["items"]
            if not page.get("position"):
                return
            position = {"position": page["position"]}

    def _plan(self, limits: Limits) -> str:
        """The id of the plan with these numbers."""
        name = f"{self._deployment}-{limits.rate:g}-{limits.burst}-{limits.quota}"
        present = self._plans().get(name)
        if present is None:
            present = self._call(
                "create_usage_plan",
                name=name,
                description="of tokens with these limits: requests per second, at once, per month",
                apiStages=[{"apiId": one["apiId"], "stage": one["stage"]} for one in self._standard["apiStages"]],
                throttle={"rateLimit": limits.rate, "burstLimit": limits.burst},
                quota={"limit": limits.quota, "period": "MONTH"},
            )
        return str(present["id"])

    def _call(self, operation: str, but: str | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer; {} for the error `but`."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
            return answer
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == but:
                return {}
            if code == "LimitExceededException":
                raise Conflict(
                    f"API Gateway has no room for another key or usage plan ({error}): revoke tokens that nobody "
                    "needs, have an operator run make free-keys, or give limits of calls that other tokens have"
                ) from error
            raise Unavailable(f"the usage plans do not answer ({error}): try again in some seconds") from error
        except BotoCoreError as error:
            raise Unavailable(f"the usage plans do not answer ({error}): try again in some seconds") from error
