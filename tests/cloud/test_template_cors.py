"""Pages of other origins, in the template: the preflight, the gateway's own answers, the bucket."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cloud.template import SOURCE, TEMPLATE, deployed, region

__all__ = ["region"]  # a fixture
HEADER = "Access-Control-Allow-Origin"
ONE, SEVERAL = "https://page.example", "https://page.example,http://127.0.0.1:8000"


def resolved(value: Any, origins: str) -> Any:
    """As CloudFormation does, of what these headers are made from; None is a header that is not there."""
    if value == {"Ref": "AWS::NoValue"}:
        return None
    if isinstance(value, dict) and "Fn::If" in value:
        condition, yes, no = value["Fn::If"]
        return resolved(yes if fulfilled(TEMPLATE["Conditions"][condition], origins) else no, origins)
    if isinstance(value, dict) and "Fn::Sub" in value:
        pattern, names = value["Fn::Sub"]
        return pattern.replace("${origin}", text(names["origin"], origins))
    return value


def fulfilled(condition: Any, origins: str) -> bool:
    [(kind, arguments)] = condition.items()
    if kind == "Fn::Not":
        return not fulfilled(arguments[0], origins)
    assert kind == "Fn::Equals"
    first, second = (text(one, origins) for one in arguments)
    return first == second


def text(value: Any, origins: str) -> str:
    if value == "":
        return ""
    between, listed = value["Fn::Join"]
    assert listed == {"Ref": "CorsOrigins"}
    return str(between).join(origins.split(","))


def body() -> dict[str, Any]:
    found: dict[str, Any] = deployed()["Api"]["Properties"]["Body"]
    return found


ORIGINS = pytest.mark.parametrize(("origins", "told"), [("", None), ("*", "'*'"), (ONE, f"'{ONE}'"), (SEVERAL, "'*'")])


@ORIGINS
def test_the_gateway_answers_preflights_of_every_path_without_a_function(origins: str, told: str | None) -> None:
    preflight = body()["paths"]["/{proxy+}"]["options"]
    assert not preflight.get("security"), "a browser sends no token with it"
    mock = preflight["x-amazon-apigateway-integration"]
    assert mock["type"] == "mock"
    assert mock["contentHandling"] == "CONVERT_TO_TEXT", "where all bodies are binary, a mock answers 500 without it"
    headers = mock["responses"]["default"]["responseParameters"]
    assert set(headers) == {f"method.response.header.{name}" for name in preflight["responses"]["200"]["headers"]}
    assert resolved(headers[f"method.response.header.{HEADER}"], origins) == told
    sent = set(headers["method.response.header.Access-Control-Allow-Headers"].strip("'").split(","))
    assert sent == {"Authorization", "*"}, "* does not stand for Authorization"
    methods = set(headers["method.response.header.Access-Control-Allow-Methods"].strip("'").split(","))
    assert {route.upper() for path in body()["paths"].values() for route in path} - {"OPTIONS"} <= methods


@ORIGINS
def test_a_page_may_read_the_gateways_own_answers(origins: str, told: str | None) -> None:
    for answer in body()["x-amazon-apigateway-gateway-responses"].values():
        headers = answer["responseParameters"]
        assert resolved(headers[f"gatewayresponse.header.{HEADER}"], origins) == told
        assert "x-request-id" in headers["gatewayresponse.header.Access-Control-Expose-Headers"]


def test_a_change_of_the_parameter_alone_is_deployed() -> None:
    """A stage answers as its deployment was made, and the transform makes none where the source is the same."""
    assert TEMPLATE["Resources"]["Api"]["Properties"]["AlwaysDeploy"] is True


def test_the_bucket_takes_and_gives_files_of_the_same_pages() -> None:
    condition, rules, nothing = deployed()["Data"]["Properties"]["CorsConfiguration"]["Fn::If"]
    [rule] = rules["CorsRules"]
    assert (condition, nothing) == ("HasCors", {"Ref": "AWS::NoValue"})
    assert rule["AllowedOrigins"] == {"Ref": "CorsOrigins"}
    assert set(rule["AllowedMethods"]) == {"GET", "HEAD", "PUT"}


@pytest.mark.parametrize("origins", ["", "*", ONE, SEVERAL])
def test_origins_that_are_taken(origins: str) -> None:
    pattern = TEMPLATE["Parameters"]["CorsOrigins"]["AllowedPattern"]  # of each one in the list
    assert all(re.fullmatch(pattern, one) for one in origins.split(","))


@pytest.mark.parametrize("origin", ["null", "page.example", f"{ONE}/", f"{ONE} {ONE}", "https://*.a.b", "https://a'"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    assert not re.fullmatch(TEMPLATE["Parameters"]["CorsOrigins"]["AllowedPattern"], origin)


def test_nobody_is_let_in_with_cookies() -> None:
    assert "Allow-Credentials" not in SOURCE
