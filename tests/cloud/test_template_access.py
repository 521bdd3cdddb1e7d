"""The template's keys, policies and denials: who signs, who writes tokens and logs; what every call runs through."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shared.access import limits
from shared.config import AUTHORIZER_SECONDS
from tests.cloud.template import TEMPLATE, deployed, listed, region, statements
from tests.cloud.test_template import FUNCTIONS

__all__ = ["region"]  # a fixture


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("inference", [["stats/raw/*"]]),
        ("generate", [["stats/raw/*"], ["limits/*/texts/*", "limits/*/text_tokens/*"]]),
        ("authorize", [["access/used/*"]]),
    ],
)
def test_what_every_call_runs_through_only_reads(name: str, written: list[list[str]]) -> None:
    """But for what it counted of calls, for the day on which a token was used, and for what it uses of its limits."""
    actions = {action for statement in statements(name) for action in listed(statement["Action"])}
    passed_on = {"lambda:InvokeFunction"} if name == "inference" else set()  # /predict, to generate
    given_back = {"s3:DeleteObject"} if name == "generate" else set()
    assert actions - {"s3:PutObject"} - passed_on - given_back == {"s3:GetObject", "s3:ListBucket"}
    places = [
        [place["Fn::Sub"].removeprefix("${Data.Arn}/") for place in listed(one["Resource"])]
        for one in statements(name)
        if "s3:PutObject" in listed(one["Action"])
    ]
    assert places == written


def test_three_functions_sign_records_one_signs_tokens_and_readers_have_the_public_half_only() -> None:
    signers = {}
    for name in FUNCTIONS:
        function = TEMPLATE["Resources"][f"{name.capitalize()}Function"]["Properties"]
        variables = function.get("Environment", {}).get("Variables", {})
        if "kms:Sign" in json.dumps(function.get("Policies", [])):
            [key] = [statement for policy in function["Policies"] for statement in _signing(policy)]
            signers[name] = key["Resource"]["Fn::GetAtt"][0]
            assert variables["SIGNING_KEY"] == {"Fn::If": ["Signs", key["Resource"], ""]}
        else:
            assert "SIGNING_KEY" not in variables
        readers = ("inference", "generate", "sweep", "scrub", "watch", "figures", "batch", "batchwork")
        if name in ("ingest", "registry", *readers):
            assert variables["PUBLIC_KEYS"]["Fn::If"][:2] == [
                "Signs",
                {"Fn::Sub": "${PublicKey.Value},${FormerPublicKeys}"},
            ]
        if name in ("tokens", "authorize"):
            assert variables["PUBLIC_KEYS"]["Fn::If"][:2] == [
                "Signs",
                {"Fn::Sub": "${TokenPublicKey.Value},${FormerTokenKeys}"},
            ]
    records = dict.fromkeys(("ingest", "registry", "watch"), "SigningKey")
    assert signers == records | {"tokens": "TokenKey"}
    for name in ("SigningKey", "TokenKey"):
        key = TEMPLATE["Resources"][name]
        assert (key["Properties"]["KeySpec"], key["DeletionPolicy"]) == ("ECC_NIST_P256", "Retain")


def _signing(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a function's policy, conditional ones too, that let it sign."""
    document = policy["Fn::If"][1] if "Fn::If" in policy else policy
    return [statement for statement in document["Statement"] if "kms:Sign" in listed(statement["Action"])]


ROLE = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-TokensFunctionRole-*"


def test_nobody_else_signs_or_writes_tokens() -> None:
    [_, denied] = TEMPLATE["Resources"]["TokenKey"]["Properties"]["KeyPolicy"]["Statement"]
    assert (denied["Effect"], denied["Action"], denied["Principal"]) == ("Deny", "kms:Sign", "*")
    assert denied["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": {"Fn::Sub": ROLE}}}
    [tokens] = [one for one in denials() if "access/" in json.dumps(one["Resource"])]
    assert set(tokens["Action"]) == {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    places = {place["Fn::Sub"] for place in tokens["Resource"]}
    assert places == {"${Data.Arn}/access/tokens/*", "${Data.Arn}/access/revoked/*"}
    exempt = tokens["Condition"]["ArnNotLike"]["aws:PrincipalArn"]["Fn::If"]
    assert exempt[0] == "HasOperators"
    assert exempt[2] == [{"Fn::Sub": ROLE}]
    # the role's name as CloudFormation makes it: the logical id that the transform gives it
    assert "TokensFunctionRole" in deployed()
    assert "RoleName" not in deployed()["TokensFunctionRole"]["Properties"]


def test_the_log_is_created_and_neither_replaced_nor_deleted() -> None:
    log = [one for one in denials() if "/log/*" in json.dumps(one["Resource"])]
    by_action = {action: one for one in log for action in listed(one["Action"])}
    assert set(by_action) == {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    assert by_action["s3:PutObject"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    assert all(one["Principal"] == "*" for one in log)


def denials() -> list[dict[str, Any]]:
    document = TEMPLATE["Resources"]["DataPolicy"]["Properties"]["PolicyDocument"]
    return [one for one in document["Statement"] if one["Effect"] == "Deny"]


def test_the_buckets_own_key_is_for_every_role_that_reads_or_writes_it() -> None:
    named = {
        role.get("Ref") or role["Fn::If"][1]["Ref"]
        for role in TEMPLATE["Resources"]["DataKeyUse"]["Properties"]["Roles"]
    }
    with_bucket = {
        name for name, one in deployed().items() if one["Type"] == "AWS::IAM::Role" and "${Data.Arn}" in json.dumps(one)
    }
    with_bucket |= {"IngestFunctionRole", "WatchFunctionRole"}  # name the bucket: a reference would be a circle
    assert named == with_bucket


def test_the_gateway_replays_a_verdict_for_as_long_as_the_answer_says() -> None:
    authorizer = TEMPLATE["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]["Tokens"]
    assert authorizer["Identity"]["ReauthorizeEvery"] == AUTHORIZER_SECONDS


@pytest.mark.parametrize("name", ["Authorize", "Registry", "Inference", "Ingest"])
def test_concurrency_is_set_apart_where_a_parameter_says_so(name: str) -> None:
    function = TEMPLATE["Resources"][f"{name}Function"]["Properties"]
    condition, number, nothing = function["ReservedConcurrentExecutions"]["Fn::If"]
    assert (number, nothing) == ({"Ref": f"{name}Concurrency"}, {"Ref": "AWS::NoValue"})
    assert TEMPLATE["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}Concurrency"}, 0]}]}
    assert TEMPLATE["Parameters"][f"{name}Concurrency"]["Default"] == 0


def test_what_holds_against_deletion_and_who_encrypts_is_off_by_default() -> None:
    bucket = TEMPLATE["Resources"]["Data"]["Properties"]
    assert bucket["ObjectLockEnabled"] == {"Fn::If": ["HasObjectLock", True, {"Ref": "AWS::NoValue"}]}
    assert bucket["ObjectLockConfiguration"]["Fn::If"][2] == {"Ref": "AWS::NoValue"}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    own, usual = rule["Fn::If"][1:]
    assert own["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "DataKey"}}
    assert usual == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    for name in ("ObjectLock", "DataKey", "Operators"):
        assert TEMPLATE["Parameters"][name]["Default"] == ""
    assert TEMPLATE["Parameters"]["UnsignedTokens"]["Default"] == "refuse"


def test_limits_are_the_same_for_who_creates_tokens_and_who_lets_them_in() -> None:
    resources = TEMPLATE["Resources"]
    variables = [
        resources[f"{name}Function"]["Properties"]["Environment"]["Variables"] for name in ("Tokens", "Authorize")
    ]
    for name in ("LIMITS", "DEPLOYMENT"):
        assert variables[0][name] == variables[1][name]
    defaults = {name: str(one.get("Default")) for name, one in TEMPLATE["Parameters"].items()}
    text = re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], variables[0]["LIMITS"]["Fn::Sub"])
    held = limits.decode(text)
    assert held == limits.Limits(
        rate=200, burst=400, quota=5_000_000, batch_jobs=20, training_jobs=5, upload_bytes=100 * 2**30
    )
    assert resources["StandardPlan"]["Properties"]["UsagePlanName"] == {"Fn::Sub": "${AWS::StackName}-standard"}
    assert variables[0]["DEPLOYMENT"] == {"Ref": "AWS::StackName"}


def test_the_function_without_a_token_may_nothing_and_is_throttled() -> None:
    function = TEMPLATE["Resources"]["ConsoleFunction"]["Properties"]
    assert "Policies" not in function and "Environment" not in function
    settings = TEMPLATE["Resources"]["Api"]["Properties"]["MethodSettings"]
    rates = {one["ResourcePath"]: one["ThrottlingRateLimit"] for one in settings}
    assert (rates["/console"], rates["/console/{build}/{name}"], rates["/docs"]) == (10, 100, 10)
