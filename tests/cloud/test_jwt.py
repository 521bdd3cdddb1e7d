"""Callers with a JWT of a local issuer through the running gateway, beside tokens."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from shared.access.jwt import callers
from tests.access.issuing import AUDIENCE, Key, LocalIssuer, serving
from tests.cloud.conftest import Cloud

pytestmark = pytest.mark.cloud
PATIENCE = 60
KEYS = [Key("ec-1", "ES256"), Key("rsa-1", "RS256")]


@pytest.fixture(scope="module")
def issuer(cloud: Cloud) -> Iterator[LocalIssuer]:
    """What the parameters JwtIssuer and JwtAudience set in the deployed function, without another deployment."""
    functions = cloud.aws("lambda")
    [stack] = cloud.aws("cloudformation").describe_stacks(StackName="amaas")["Stacks"]
    [name] = [one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == "AuthorizeFunctionName"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    assert (before["JWT_ISSUER"], before["JWT_AUDIENCE"], before["JWT_SCOPES_CLAIM"]) == ("", "", "amaas_scopes")
    with serving(LocalIssuer(KEYS)) as local:
        trusted = before | {"JWT_ISSUER": local.address, "JWT_AUDIENCE": AUDIENCE}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": trusted})
        yield local
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})


def get(cloud: Cloud, path: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{cloud.access['api_url']}{path}", headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.kind)
def test_a_jwt_opens_what_its_scopes_say(cloud: Cloud, issuer: LocalIssuer, key: Key) -> None:
    token = key.token(issuer.claims(amaas_scopes=["read:fashion-*"], sub=f"ann by {key.kind}"))
    own = get(cloud, "/tokens/self", token)
    assert own.status_code == 200, own.text
    caller = callers.identity(issuer.address, f"ann by {key.kind}")
    assert (own.json()["id"], own.json()["person"], own.json()["scopes"]) == (caller, caller, ["read:fashion-*"])
    assert own.json()["limits"]["batch_jobs"] == 20
    assert get(cloud, "/models/fashion-mnist", token).status_code == 200
    refused = get(cloud, "/models/moving", token)
    assert (refused.status_code, list(refused.json())) == (403, ["error", "code", "request_id"])
    assert cloud.api.get("/models/fashion-mnist").status_code == 200  # with a token, as before


def test_other_jwts_are_401(cloud: Cloud, issuer: LocalIssuer) -> None:
    forger = Key("ec-1", "ES256")
    good = KEYS[0].token(issuer.claims())
    for token in (
        KEYS[0].token(issuer.claims(aud="another")),
        KEYS[0].token(issuer.claims(exp=1)),
        KEYS[0].token(issuer.claims(), alg="none"),
        forger.token(issuer.claims(amaas_scopes=["admin"])),
        good[:-4] + "AAAA",
        "eyJ.x.y",
    ):
        refused = get(cloud, "/tokens/self", token)
        assert (refused.status_code, list(refused.json())) == (401, ["error", "code", "request_id"]), refused.text


def test_the_issuer_may_be_away(cloud: Cloud, issuer: LocalIssuer) -> None:
    get(cloud, "/tokens/self", KEYS[0].token(issuer.claims(sub="before")))
    answers, issuer.answers = issuer.answers, {}
    try:
        assert get(cloud, "/tokens/self", KEYS[0].token(issuer.claims(sub="after"))).status_code == 200
    finally:
        issuer.answers = answers
