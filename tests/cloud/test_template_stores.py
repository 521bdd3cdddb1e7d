"""Who may write where the bucket keeps what others rely on: answers of earlier calls, what the scrubber has seen."""

from __future__ import annotations

import importlib
import json

from tests.cloud.template import TEMPLATE, deployed, listed, region, statements
from tests.cloud.test_template import FUNCTIONS, WITH_ROUTES

__all__ = ["region"]  # a fixture


def test_only_the_scrubber_writes_what_it_has_seen() -> None:
    for name in FUNCTIONS:
        for statement in statements(name):
            writes = [action for action in listed(statement["Action"]) if "Put" in action or "Delete" in action]
            assert name == "scrub" or not writes or "/scrub/" not in json.dumps(statement["Resource"])
    [denial] = [s for s in TEMPLATE["Resources"]["DataPolicy"]["Properties"]["PolicyDocument"]["Statement"]
                if s["Sid"] == "OnlyScrubWritesWhatItSaw"]  # fmt: skip
    assert (denial["Effect"], denial["Principal"], denial["Action"]) == (
        "Deny",
        "*",
        ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"],
    )
    [role] = denial["Condition"]["ArnNotLike"]["aws:PrincipalArn"]["Fn::If"][2]
    assert role["Fn::Sub"].endswith(":role/${AWS::StackName}-ScrubFunctionRole-*")
    assert deployed()["ScrubFunctionRole"]["Type"] == "AWS::IAM::Role"


def test_functions_with_keyed_routes_may_keep_answers() -> None:
    for name in WITH_ROUTES:
        keyed = any(route.keyed for route in importlib.import_module(f"functions.{name}.app").handler.routes)
        kept = [s for s in statements(name) if "/idempotency/" in json.dumps(s["Resource"])]
        assert [set(listed(s["Action"])) for s in kept] == [{"s3:GetObject", "s3:PutObject"}] * keyed
        prefixes = [s["Condition"]["StringLikeIfExists"]["s3:prefix"] for s in statements(name) if "Condition" in s]
        assert any("idempotency/*" in listed(prefix) for prefix in prefixes) == keyed
