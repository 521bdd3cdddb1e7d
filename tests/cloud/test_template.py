"""The template as AWS sees it, after the SAM transform: its routes, rights and answers; and the locks under it."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from typing import Any

import pytest

from api.document import ERRORS, OF_THE_GATEWAY, document
from shared.errors import CODES, OPENAI, STRAYS
from tests.cloud.template import ROOT, TEMPLATE, deployed, listed, region, statements

__all__ = ["region"]  # a fixture

FUNCTIONS = ["upload", "ingest", "registry", "inference", "generate", "sweep", "scrub", "tokens", "authorize"]
FUNCTIONS += [
    "publickey",
    "counts",
    "watch",
    "figures",
    "console",
    "logs",
    "batch",
    "batchplan",
    "batchwork",
    "training",
    "trainingstate",
]
PREFLIGHT = ("OPTIONS", "/{proxy+}")
WITH_ROUTES = ["upload", "registry", "figures", "console", "logs", "inference", "generate", "tokens", "batch"]
WITH_ROUTES += ["training"]


def api(**parameters: str) -> dict[str, Any]:
    return deployed(**parameters)["Api"]["Properties"]["Body"]


def offered_by(body: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Of functions: the preflight is the gateway's own."""
    found = {(method.upper(), path): value for path, item in body["paths"].items() for method, value in item.items()}
    return {route: value for route, value in found.items() if route != PREFLIGHT}


def operations(body: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Without what no function has: it is offered so that OpenAI's clients can read that there is none."""
    return {route: value for route, value in offered_by(body).items() if not is_stray(route[1])}


def is_stray(path: str) -> bool:
    return path == f"{OPENAI}{{proxy+}}" or path.startswith(STRAYS)


def serving(operation: dict[str, Any]) -> str:
    """Which function an operation calls."""
    uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
    found = re.search(r"\$\{(\w+)Function\.Arn\}", uri)
    assert found, uri
    return found[1].lower()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_handlers_exist(name: str) -> None:
    handler = TEMPLATE["Resources"][f"{name.capitalize()}Function"]["Properties"]["Handler"]
    module, _, attribute = handler.rpartition(".")
    assert module == f"functions.{name}.app"
    assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.parametrize("name", WITH_ROUTES)
def test_the_gateway_and_the_function_know_the_same_routes(name: str) -> None:
    handler = importlib.import_module(f"functions.{name}.app").handler
    known = {(route.method, route.template) for route in handler.routes}
    offered = {key for key, operation in operations(api()).items() if serving(operation) == name}
    greedy = {(method, path.removesuffix("{proxy+}")) for method, path in offered if path.endswith("{proxy+}")}

    def reached(route: tuple[str, str]) -> bool:
        return route in offered or any(route[0] == method and route[1].startswith(path) for method, path in greedy)

    assert [route for route in known if not reached(route)] == []
    assert [key for key in offered if not key[1].endswith("{proxy+}") and key not in known] == []


def test_what_openais_clients_ask_for_in_vain_gets_a_word_of_ours() -> None:
    strays = {route: value for route, value in offered_by(api()).items() if is_stray(route[1])}
    assert {path for _, path in strays} >= {f"{OPENAI}{{proxy+}}"}
    assert all(any(path.startswith(start) for _, path in strays) for start in STRAYS)
    assert {serving(value) for value in strays.values()} == {"inference"}
    assert all(value["security"] == [{"Tokens": []}, {"api_key": []}] for value in strays.values())
    known = {route.template for route in importlib.import_module("functions.inference.app").handler.routes}
    assert not any(path.startswith(STRAYS) for path in known)


def test_the_description_has_the_gateways_routes() -> None:
    described = set(operations(document()))
    offered = {route for route in operations(api()) if not route[1].startswith(("/console", "/docs"))}
    greedy = {(method, path.removesuffix("{proxy+}")) for method, path in offered if path.endswith("{proxy+}")}
    plain = {route for route in offered if not route[1].endswith("{proxy+}")}
    assert plain - described == set()
    beyond = {(method, path[: path.index("/", 1) + 1]) for method, path in described - plain}
    assert beyond == greedy


def test_the_description_knows_every_status_of_the_gateway() -> None:
    answers = api()["x-amazon-apigateway-gateway-responses"].values()
    statuses = {int(answer["statusCode"]) for answer in answers if "statusCode" in answer}
    assert statuses <= {*ERRORS}
    assert statuses <= {int(s) for s in document()["paths"]["/models/{model}/predict"]["post"]["responses"]}


def test_every_route_but_the_consoles_files_and_the_apis_page_needs_a_token_and_counts_against_the_plan() -> None:
    secured = {route: operation["security"] for route, operation in operations(api()).items()}
    assert [secured.pop(("GET", path)) for path in ("/console", "/console/{build}/{name}", "/docs")] == [[], [], []]
    wanted = [{"Tokens": []}, {"api_key": []}]
    assert [route for route, security in secured.items() if security != wanted] == [] and len(secured) > 15


@pytest.mark.parametrize("function", ["Authorize", "Registry", "Inference", "Ingest"])
def test_concurrency_is_reserved_where_a_parameter_says_so(function: str) -> None:
    parameter = f"{function}Concurrency"
    reserved = TEMPLATE["Resources"][f"{function}Function"]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved == {"Fn::If": [f"Has{parameter}", {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
    assert TEMPLATE["Parameters"][parameter]["Default"] == 0, "a new account has none to reserve"


def test_aws_never_runs_without_the_quota() -> None:
    rule = TEMPLATE["Rules"]["QuotaOnAws"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "EndpointUrl"}, ""]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "RequireQuotaKey"}, "true"]}
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert "RequireQuotaKey=true" in config["default"]["deploy"]["parameters"]["parameter_overrides"]


def test_the_authorizers_key_is_the_plans_key() -> None:
    resources = TEMPLATE["Resources"]
    key = resources["QuotaKey"]["Properties"]["Value"]
    assert resources["AuthorizeFunction"]["Properties"]["Environment"]["Variables"]["QUOTA_KEY"] == key
    shortest = key["Fn::Sub"].replace("${AWS::StackName}", "a")
    assert len(shortest) >= 20, "API Gateway takes no shorter key"


def test_every_answer_of_the_gateway_is_an_error_object() -> None:
    answers = api()["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "UNAUTHORIZED", "THROTTLED", "QUOTA_EXCEEDED", "REQUEST_TOO_LARGE"} <= set(
        answers
    )
    for answer in answers.values():
        text = answer["responseTemplates"]["application/json"]
        body = json.loads(text.replace("$context.error.messageString", '"what happened"'))
        assert list(body) == ["error", "code", "request_id"]
        assert body["error"] and body["request_id"] == "$context.requestId"
        assert answer["responseParameters"]["gatewayresponse.header.x-request-id"] == "context.requestId"
        status = int(answer.get("statusCode", 0))
        assert body["code"] in {CODES.get(status, "internal"), *OF_THE_GATEWAY}
        if status in (429, 503):
            assert "gatewayresponse.header.Retry-After" in answer["responseParameters"]
    assert answers["UNAUTHORIZED"]["statusCode"] == "401"
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"


def test_what_cannot_be_a_token_is_refused_at_the_door() -> None:
    scheme = api()["components"]["securitySchemes"]["Tokens"]["x-amazon-apigateway-authorizer"]
    expression = re.compile(scheme["identityValidationExpression"])
    assert expression.fullmatch("Bearer amaas_0123456789ab_" + "x" * 43)
    assert expression.fullmatch("bearer amaas_0123456789ab_" + "_-" * 20)
    assert expression.fullmatch("Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.c2ln-_")
    assert not expression.fullmatch("Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ")
    assert not expression.fullmatch("Basic YTpi")
    assert not expression.fullmatch("Bearer x")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rights_end_at_named_prefixes_of_the_one_bucket(name: str) -> None:
    for statement in statements(name):
        assert statement["Effect"] == "Allow"
        assert all("*" not in action for action in listed(statement["Action"]))
        if listed(statement["Action"])[0].startswith("kms:"):
            assert all(
                resource["Fn::GetAtt"][0] in ("SigningKey", "TokenKey") for resource in listed(statement["Resource"])
            )
            continue
        if listed(statement["Action"])[0].startswith("states:"):
            named = statement["Resource"].get("Fn::Sub", "")
            own = "-inbox" if name == "ingest" else "-batch:*"
            assert statement["Resource"] == {"Ref": "BatchMachine"} or named.endswith(":${AWS::StackName}" + own)
            continue
        if listed(statement["Action"])[0].startswith("apigateway:"):
            places = {one["Fn::Sub"].partition("${AWS::Region}::/")[2] for one in listed(statement["Resource"])}
            assert name == "tokens" and places <= {"apikeys", "apikeys/*", "usageplans", "usageplans/*/keys"}
            continue
        if listed(statement["Action"]) == ["logs:FilterLogEvents"]:
            assert name == "logs" and statement["Resource"]["Fn::Sub"].endswith(":log-group:/amaas/${AWS::StackName}/*")
            continue
        if listed(statement["Action"])[0].startswith("sqs:"):
            assert (name, statement["Resource"]) == ("upload", {"Fn::GetAtt": ["IngestFailures", "Arn"]})
            continue
        if listed(statement["Action"]) == ["lambda:InvokeFunction"]:
            assert (name, statement["Resource"]) == ("inference", {"Fn::GetAtt": ["GenerateFunction", "Arn"]})
            continue
        if listed(statement["Action"])[0] == "s3:ListBucket":
            assert statement["Condition"]["StringLikeIfExists"]["s3:prefix"]
            continue
        for resource in listed(statement["Resource"]):
            assert re.search(r"(\{Data\.Arn\}|-data-[^/]*)/\w[\w*/.]*$", resource["Fn::Sub"]), resource


# what each function may remove, and no other may remove anything
REMOVED = {
    "counts": {"stats/raw/*", "feedback/raw/*"},
    "feedback": {"feedback/*"},
    "watch": {"catalogue/changed/*"},
    "sweep": {"blobs/*", "catalogue/changed/*"},
    "ingest": {"catalogue/changed/*", "unfinished/*"},
    "registry": {"catalogue/changed/*"},
    "generate": {"limits/*/texts/*", "limits/*/text_tokens/*"},
    "upload": {"unfinished/*", "uploads/*", "inbox/*", "limits/*/upload_bytes/*"},
    "batch": {"batch/*", "limits/*/batch_jobs/*", "limits/*/upload_bytes/*"},
    "training": {
        "limits/*/training_jobs/*",
        "training/*/checkpoint/*",
        "training/*/report/*",
        "training/*/metrics.jsonl",
    },
}


def test_only_sweep_removes_blobs_nobody_removes_records_and_only_ingest_writes_blobs() -> None:
    writers = set()
    for name in FUNCTIONS:
        removed = set()
        for statement in statements(name):
            if [action for action in listed(statement["Action"]) if action.startswith("s3:Delete")]:
                for resource in listed(statement["Resource"]):
                    removed.add(re.split(r"Data\.Arn\}/|AWS::Region\}/", resource["Fn::Sub"])[1])
            if "s3:PutObject" in statement["Action"] and "/blobs/" in json.dumps(statement["Resource"]):
                writers.add(name)
        assert removed == REMOVED.get(name, set()), name
    assert writers == {"ingest"}


def test_the_bucket_is_private_encrypted_versioned_and_outlives_the_stack() -> None:
    bucket = TEMPLATE["Resources"]["Data"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]
    expiring = {rule["Prefix"] for rule in properties["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule}
    counts = {"stats/raw/", "stats/hours/", "stats/models/", "feedback/raw/", "feedback/days/"}
    assert expiring == {"uploads/", "batch/", "training/", "idempotency/", "limits/"} | counts, (
        "nothing else that is current may ever expire"
    )


def test_signing_is_optional() -> None:
    made = deployed(SignRecords="false")
    assert made["PublicKey"]["Condition"] == made["PublickeyFunction"]["Condition"] == "Signs"


def test_the_endpoint_is_declared_only_where_there_is_one() -> None:
    declared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"]
    assert declared == {"Fn::If": ["HasEndpoint", {"Ref": "EndpointUrl"}, {"Ref": "AWS::NoValue"}]}


def test_the_state_machine_is_valid_json_with_a_number_of_workers() -> None:
    text = TEMPLATE["Resources"]["BatchMachine"]["Properties"]["DefinitionString"]["Fn::Sub"]
    machine = json.loads(text.replace("${BatchConcurrency}", "10"))
    chunks = machine["States"]["Chunks"]
    assert chunks["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert (chunks["MaxConcurrency"], chunks["ToleratedFailurePercentage"]) == (10, 100)
    assert {state.get("Next") for state in machine["States"].values() if "Next" in state} <= set(machine["States"])
    [rules] = [
        p["PolicyDocument"]["Statement"] for p in TEMPLATE["Resources"]["BatchMachineRole"]["Properties"]["Policies"]
    ]
    assert [s for s in rules if s["Resource"] == "*" and not s["Action"][0].startswith("xray:")] == []
