"""Keys and usage plans of API Gateway: one key for each token, one plan for each combination of numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from shared import keys
from shared.access import listing, tokens, unused
from shared.access.gateway import UsagePlans
from shared.access.limits import NONE, Limits
from shared.access.records import UNSIGNED
from shared.access.tokens import Creator, Keyring
from shared.errors import BadInput, Conflict, Unavailable
from shared.storage.memory import MemoryStore

DEFAULTS = Limits(rate=200.0, burst=400, quota=5_000_000, batch_jobs=20, training_jobs=5, upload_bytes=10**11)
ANN = Creator(id="ann")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("apigateway")
        api = client.create_rest_api(name="amaas-api")["id"]
        root = client.get_resources(restApiId=api)["items"][0]["id"]
        client.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
        client.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
        client.create_deployment(restApiId=api, stageName="v1")
        client.create_usage_plan(
            name="amaas-standard",
            apiStages=[{"apiId": api, "stage": "v1"}],
            throttle={"rateLimit": 200.0, "burstLimit": 400},
            quota={"limit": 5_000_000, "period": "MONTH"},
        )
        yield client


def plan_of(gateway: Any, value: str) -> dict[str, Any]:
    """The one plan that counts a key."""
    plans = [
        plan
        for plan in gateway.get_usage_plans()["items"]
        for key in gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]
        if key["value"] == value
    ]
    assert len(plans) == 1
    return plans[0]


def test_a_token_without_numbers_of_its_own_is_under_the_deployments(gateway: Any) -> None:
    UsagePlans("amaas").assign("0123456789ab", NONE, DEFAULTS)
    assert plan_of(gateway, "amaas-token-0123456789ab")["name"] == "amaas-standard"


def test_equal_numbers_share_a_plan_and_others_have_their_own(gateway: Any) -> None:
    plans = UsagePlans("amaas")
    for identity, own in (("a" * 12, Limits(rate=5.0)), ("b" * 12, Limits(rate=5.0)), ("c" * 12, Limits(quota=7))):
        plans.assign(identity, own, DEFAULTS)
    first, second, third = (plan_of(gateway, f"amaas-token-{one * 12}") for one in "abc")
    assert first["id"] == second["id"] != third["id"]
    assert (first["throttle"], first["quota"]["limit"]) == ({"rateLimit": 5.0, "burstLimit": 400}, 5_000_000)
    assert (third["quota"]["limit"], third["quota"]["period"]) == (7, "MONTH")
    [standard] = [one for one in gateway.get_usage_plans()["items"] if one["name"] == "amaas-standard"]
    assert first["apiStages"] == third["apiStages"] == standard["apiStages"]


def test_a_key_is_deleted_once(gateway: Any) -> None:
    plans = UsagePlans("amaas")
    plans.assign("0123456789ab", NONE, DEFAULTS)
    plans.release("0123456789ab")
    plans.release("0123456789ab")
    assert gateway.get_api_keys()["items"] == []


def test_without_the_template_s_plan_no_token_is_created(gateway: Any) -> None:
    store = MemoryStore()
    with pytest.raises(Unavailable, match="there is no usage plan other-standard"):
        tokens.create(store, "a", ["infer"], keyring=Keyring(UsagePlans("other"), DEFAULTS))
    assert listing.everything(store) == []


@pytest.mark.parametrize(
    ("code", "error", "why"),
    [
        ("LimitExceededException", Conflict, "revoke tokens that nobody needs"),
        ("TooManyRequestsException", Unavailable, "try again in some seconds"),
    ],
)
def test_what_the_gateway_refuses_is_said(code: str, error: type[Exception], why: str) -> None:
    class Refusing:
        def get_usage_plans(self, **options: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetUsagePlans")

    plans = UsagePlans("amaas")
    plans.__dict__["_client"] = Refusing()
    with pytest.raises(error, match=why):
        plans.assign("0123456789ab", NONE, DEFAULTS)


# ---- what tokens make of it


class Held:
    """Plans in memory."""

    def __init__(self) -> None:
        self.held: dict[str, Limits] = {}
        self.created = 0.0

    def assign(self, key: str, own: Limits, defaults: Limits) -> None:
        self.held[key] = own.over(defaults)

    def release(self, key: str) -> None:
        self.held.pop(key, None)

    def keys(self) -> dict[str, float]:
        return dict.fromkeys(self.held, self.created)


def test_a_token_has_a_key_with_its_limits_and_keeps_both_when_it_is_rotated() -> None:
    store, plans = MemoryStore(), Held()
    ring = Keyring(plans, DEFAULTS)
    old, _ = tokens.create(store, "guest", ["infer"], limits=Limits(quota=10, batch_jobs=1), keyring=ring)
    assert plans.held == {old.id: Limits(quota=10, batch_jobs=1).over(DEFAULTS)}
    new, _, _ = tokens.rotate(store, old.id, creator=ANN)
    assert (new.usage_key, new.limits) == (old.id, old.limits)
    listed = {one.id: one for one in listing.everything(store, defaults=DEFAULTS)}
    for identity in (old.id, new.id):
        held = listed[identity].limits
        assert (held.quota, held.batch_jobs, held.rate, held.upload_bytes) == (10, 1, 200.0, 10**11)


def test_a_key_goes_with_the_last_token_that_counts_against_it() -> None:
    store, plans = MemoryStore(), Held()
    ring = Keyring(plans, DEFAULTS)
    first, _ = tokens.create(store, "a", ["infer"], keyring=ring)
    second, _, _ = tokens.rotate(store, first.id, creator=ANN)
    tokens.revoke(store, first.id, keyring=ring)  # it leaked, and its successor goes on
    assert list(plans.held) == [first.id]
    third, _, _ = tokens.rotate(store, second.id, creator=ANN)
    tokens.revoke(store, third.id, keyring=ring)  # the second one goes on until its overlap ends
    assert list(plans.held) == [first.id]
    alone, _ = tokens.create(store, "b", ["infer"], keyring=ring)
    tokens.revoke(store, alone.id, keyring=ring)
    assert list(plans.held) == [first.id]


def test_a_key_that_cannot_be_deleted_is_no_reason_not_to_revoke() -> None:
    class Away(Held):
        def release(self, key: str) -> None:
            raise Unavailable("away")

    store, ring = MemoryStore(), Keyring(Away(), DEFAULTS)
    token, _ = tokens.create(store, "a", ["infer"], keyring=ring)
    assert tokens.revoke(store, token.id, keyring=ring).revoked


def test_limits_of_calls_need_plans() -> None:
    store = MemoryStore()
    for own in (Limits(rate=1.0), Limits(burst=1), Limits(quota=1)):
        with pytest.raises(BadInput, match="no usage plans"):
            tokens.create(store, "a", ["infer"], limits=own)
    assert not store.list_page(keys.TOKENS).objects
    tokens.create(store, "a", ["infer"], limits=Limits(batch_jobs=0))


def test_keys_that_no_token_needs_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    store, plans = MemoryStore(), Held()
    ring = Keyring(plans, DEFAULTS)
    goes_on, rotated, expired, old = (
        tokens.create(store, name, ["infer"], keyring=ring, expires_in_days=days)[0]
        for name, days in (("a", 10), ("b", 10), ("c", 1), ("d", 10))
    )
    tokens.rotate(store, rotated.id, creator=ANN, overlap_hours=0)
    tokens.revoke(store, old.id)  # by a process without plans
    plans.assign("interrupted", NONE, DEFAULTS)  # and no record came
    later = time.time() + 1.5 * 86400
    monkeypatch.setattr("time.time", lambda: later)
    plans.created = later
    assert unused.free(store, UNSIGNED, plans) == []  # of the last hour: their records may be on the way
    plans.created = later - 3700
    assert set(unused.free(store, UNSIGNED, plans)) == {expired.id, old.id, "interrupted"}
    assert set(plans.held) == {goes_on.id, rotated.id}


def test_all_keys_of_a_deployment_are_listed(gateway: Any) -> None:
    for deployment, identity in (("amaas", "a" * 12), ("amaas", "b" * 12), ("other", "c" * 12)):
        gateway.create_usage_plan(name=f"{deployment}-standard")
        UsagePlans(deployment).assign(identity, NONE, DEFAULTS)
    held = UsagePlans("amaas").keys()
    assert set(held) == {"a" * 12, "b" * 12}
    assert all(abs(created - time.time()) < 600 for created in held.values())
