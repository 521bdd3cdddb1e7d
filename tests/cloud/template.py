"""The template, read with its short forms, and as the SAM transform makes it for some parameters."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.translator.transform import transform

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "template.yaml").read_text()


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: !Ref x → {"Ref": x}, !Sub x → {"Fn::Sub": x}, …"""


def intrinsic(loader: Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt":
        value = value.split(".", 1)
    return {tag if tag == "Ref" else f"Fn::{tag}": value}


Loader.add_multi_constructor("!", intrinsic)
TEMPLATE: dict[str, Any] = yaml.load(SOURCE, Loader)


class NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def deployed(**parameters: str) -> dict[str, Any]:
    """The CloudFormation resources that the transform makes for some parameters."""
    template = copy.deepcopy(TEMPLATE)
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    for resource in template["Resources"].values():
        if "ContentUri" in resource["Properties"]:
            resource["Properties"]["ContentUri"] = "s3://bucket/key"
    return transform(template, parameters, NoManagedPolicies())["Resources"]


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def statements(function: str) -> list[dict[str, Any]]:
    """Of its first policy; none of the console's function, which has no permission."""
    policies = TEMPLATE["Resources"][f"{function.capitalize()}Function"]["Properties"].get("Policies", [])
    return policies[0]["Statement"] if policies else []


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
