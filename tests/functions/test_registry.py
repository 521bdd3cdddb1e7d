"""The control plane over HTTP: every route, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions.inference.app import handler as inference
from functions.ingest import app as ingest
from functions.registry import app as registry_app
from functions.registry.app import handler as registry
from shared import keys
from shared.registry import models
from shared.registry.log import Log
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests import support
from tests.functions.test_flow import push as upload
from tests.registry.conftest import push
from tests.signing.test_signing import verify_package
from tests.support import call, linear, load_event


@pytest.fixture
def three(store: MemoryStore) -> Log:
    log = Log(store)
    push(log, "m", 3)
    return log


def ask(method: str, path: str, body: dict[str, Any] | None = None, status: int = 200, **options: Any) -> Any:
    answer = call(registry, method, path, body if body is not None else b"", **options)
    assert answer.status == status, answer.body
    assert status < 400 or list(answer.json) == ["error", "code", "request_id"]
    return answer.json


PRODUCTION = "/models/m/aliases/production"


def test_promote_split_shadow_and_roll_back(three: Log) -> None:
    moved = ask("PUT", PRODUCTION, {"version": 2, "reason": "better"})
    assert moved == {"model": "m", "alias": "production", "revision": 4, "version": 2, "since": 4, "previous": 1}
    split = ask("PUT", PRODUCTION, {"split": {"2": 90, "3": 10}, "shadow": 1, "expect_revision": 4})
    assert (split["split"], split["shadow"], split["version"]) == ({"2": 90, "3": 10}, 1, 2)
    assert ask("GET", "/models/m")["aliases"]["production"]["split"] == {"2": 90, "3": 10}
    assert ask("GET", "/models")["models"][0]["aliases"]["production"]["shadow"] == 1
    assert ask("POST", PRODUCTION + "/rollback", {"reason": "slow"})["version"] == 2
    assert ask("POST", PRODUCTION + "/rollback", {})["version"] == 1
    error = ask("POST", PRODUCTION + "/rollback", status=409)["error"]
    assert "no previous target to roll back to" in error
    assert ask("POST", PRODUCTION + "/rollback", {"version": 3})["version"] == 3
    kinds = [record["kind"] for record in ask("GET", "/models/m/history")["records"]]
    assert kinds == ["rollback", "rollback", "rollback", "alias", "alias", "register", "register", "register"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"version": 1, "split": {"2": 1}}, 400),
        ({"split": {"a": 1}}, 400),
        ({"split": {"1": -1}}, 400),
        ({"split": {"1": 0.5}}, 400),
        ({"split": {}}, 400),
        ({"split": {"1": 50, "9": 50}}, 404),
        ({"version": 0}, 400),
        ({"version": 1, "shadow": 9}, 404),
        ({"version": 1, "shadow": "2"}, 400),
        ({"version": 2, "expect_revision": 1}, 409),
        ({"version": 2, "reasons": "typing error"}, 400),
    ],
)
def test_moves_that_are_refused_change_nothing(three: Log, body: dict[str, Any], status: int) -> None:
    ask("PUT", PRODUCTION, body, status)
    ask("POST", "/models/m/aliases/production/requests", body, status)
    assert models.get(three, "m").revision == 3


def test_a_repeated_call_is_carried_out_once(three: Log) -> None:
    ask("PUT", PRODUCTION, {"version": 2})
    ask("PUT", PRODUCTION, {"version": 3})
    once = {"Idempotency-Key": "0123-abc"}
    for _ in range(3):
        assert ask("POST", PRODUCTION + "/rollback", {"expect_revision": 5}, headers=once)["version"] == 2
    assert ask("POST", PRODUCTION + "/rollback", headers={"Idempotency-Key": "another"})["version"] == 1
    ask("PUT", PRODUCTION, {"version": 3}, 400, headers={"Idempotency-Key": "a b"})


def test_a_key_is_of_one_call_only(three: Log) -> None:
    once = {"Idempotency-Key": "0123-abc"}
    assert ask("POST", "/models/m/versions/2/retire", headers=once)["state"] == "retired"
    assert "another call" in ask("POST", "/models/m/versions/3/retire", status=422, headers=once)["error"]
    assert set(models.get(three, "m").retired) == {2}


def test_numbers_that_are_none_are_refused(three: Log) -> None:
    ask("POST", "/models/m/versions/0/retire", status=400)
    ask("POST", "/models/m/requests/000/approve", status=400)
    for beyond in ("1000000000001", "9" * 4000):
        ask("GET", "/models/m/history", status=400, query={"next": beyond})
    ask("GET", "/models/m/diff", status=400, query={"to": ""})
    assert ask("GET", "/models/m/diff", query={"from": "1"})["to"] == 3


def test_who_may_move_what(three: Log) -> None:
    ask("PUT", PRODUCTION, {"version": 2}, 403, scopes="write")
    ask("PUT", PRODUCTION, {"version": 2}, 403, scopes="write promote:other-*")
    ask("PUT", PRODUCTION, {"version": 2}, 403, scopes="read infer")
    ask("PUT", "/models/m/aliases/staging", {"version": 2}, scopes="write")
    ask("PUT", PRODUCTION, {"version": 2}, scopes="promote:m")
    ask("PUT", PRODUCTION + "/policy", {"two_person": True}, 403, scopes="promote write")
    ask("DELETE", "/models/m", status=403, scopes="write promote")


def test_two_persons(three: Log) -> None:
    rule = ask("PUT", PRODUCTION + "/policy", {"two_person": True})
    assert (rule["protected"], rule["two_person"]) == (True, True)
    assert "two persons" in ask("PUT", PRODUCTION, {"version": 2}, 409)["error"]
    asked = ask("POST", PRODUCTION + "/requests", {"version": 2, "reason": "better"}, 201, scopes="write")
    number = asked["request"]
    assert asked["version"] == 2
    shown = ask("GET", "/models/m")["requests"]
    assert [(r["request"], r["alias"], r["target"], r["reason"]) for r in shown] == [
        (number, "production", {"version": 2}, "better")
    ]
    assert "your own" in ask("POST", f"/models/m/requests/{number}/approve", {}, 403)["error"]
    done = _as("bob", "POST", f"/models/m/requests/{number}/approve")
    assert (done["approved"], done["version"], done["alias"]) == (True, 2, "production")
    ask("POST", f"/models/m/requests/{number}/approve", {}, 404)
    ask("POST", "/models/m/requests/999/reject", {}, 404)
    ask("POST", "/models/m/requests/x/reject", {}, 400)
    number = ask("POST", PRODUCTION + "/requests", {"version": 3}, 201)["request"]
    assert ask("POST", f"/models/m/requests/{number}/reject", {"reason": "no"})["rejected"] is True


def _as(token: str, method: str, path: str) -> Any:
    """A call with another token than the one that call() has."""
    event = load_event("apigateway_proxy") | {"httpMethod": method, "path": path, "body": None, "headers": {}}
    event["requestContext"]["authorizer"] = support.caller("promote", token, name="Bob")
    reply = registry(event, None)
    assert reply["statusCode"] == 200, reply
    return json.loads(reply["body"])


def test_versions_page_and_retire(three: Log) -> None:
    page = ask("GET", "/models/m/versions", query={"limit": "2"})
    assert ([row["version"] for row in page["versions"]], page["next"]) == ([3, 2], 2)
    rest = ask("GET", "/models/m/versions", query={"limit": "2", "next": "2"})
    assert ([row["version"] for row in rest["versions"]], rest["next"]) == ([1], None)
    assert ask("POST", "/models/m/versions/3/retire", {"reason": "bad data"})["state"] == "retired"
    assert ask("GET", "/models/m/versions/3")["state"] == "retired"
    ask("PUT", PRODUCTION, {"version": 3}, 404)
    ask("POST", "/models/m/versions/1/retire", {}, 409)
    ask("POST", "/models/m/versions/9/retire", {}, 404)
    ask("POST", "/models/m/versions/production/retire", {}, 400)
    assert ask("POST", "/models/m/versions/3/restore")["state"] == "active"


def test_cards_tags_search_and_deletion(three: Log) -> None:
    edited = ask("PATCH", "/models/m", {"card": "# M", "tags": ["shop", "eu"]}, scopes="write")
    assert (edited["card"], edited["tags"]) == ("# M", ["eu", "shop"])
    assert ask("GET", "/models/m")["card"] == "# M"
    assert [m["name"] for m in ask("GET", "/models", query={"tag": "eu", "task": "tensor"})["models"]] == ["m"]
    assert ask("GET", "/models", query={"tag": "us"})["models"] == []
    ask("PATCH", "/models/m", {}, 400)
    ask("PATCH", "/models/m", {"tags": [""]}, 400)
    assert ask("DELETE", "/models/m", {"reason": "old"})["deleted"] is True
    assert "restore" in ask("GET", "/models/m", status=404)["error"]
    assert ask("GET", "/models")["models"] == []
    assert ask("POST", "/models/m/restore")["restored"] is True
    assert ask("GET", "/models/m")["tags"] == ["eu", "shop"]


def test_history_is_verified_on_demand(three: Log) -> None:
    found = ask("GET", "/models/m/history", query={"verify": "true", "limit": "1"})
    assert (found["verified"], found["problems"], found["revision"], len(found["records"])) == (True, [], 3, 1)
    assert "verified" not in ask("GET", "/models/m/history")
    ask("GET", "/models/m/history", status=400, query={"verify": "yes"})
    record = three.store.get(keys.log_record("m", 2)).body
    three.store.put(keys.log_record("m", 2), record.replace(b'"ann"', b'"eve"'))
    found = ask("GET", "/models/m/history", query={"verify": "true"})
    assert found["verified"] is False
    assert found["problems"][0]["revision"] == 3
    assert "changed" in found["problems"][0]["what"]
    assert [record["revision"] for record in found["records"]] == [3, 2, 1]
    three.store.delete(keys.log_record("m", 2))
    found = ask("GET", "/models/m/history", query={"verify": "true"})
    assert {"revision": 2, "what": "the record is missing"} in found["problems"]
    assert [record["revision"] for record in found["records"]] == [3, 1]


def test_pushed_packages_are_signed_for_everyone_to_check(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = LocalKey.create(tmp_path / "key.pem")
    signed = Log(store, signer=key, trusted=[key.public])
    for app in (ingest, registry_app):
        monkeypatch.setattr(app, "log", lambda: signed)
    upload(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    found = ask("GET", "/models/m/versions/1/signature")
    folder = tmp_path / "m"
    folder.mkdir()
    for name, digest in found["files"].items():
        (folder / name).write_bytes(store.get(keys.blob(digest)).body)
    (folder / "model.sig").write_text(json.dumps(found["bundle"]))
    (tmp_path / "public.pem").write_text(found["public_keys"][0])
    assert verify_package((folder, tmp_path / "public.pem")).returncode == 0
    gate = ask("GET", "/models/m/versions/1")["gate"]
    assert (gate["operators"], gate["parameters"]) == ({"MatMul": 1}, 2)


def test_a_version_that_nobody_signed_says_so(three: Log) -> None:
    assert "not signed" in ask("GET", "/models/m/versions/1/signature", status=404)["error"]


def test_differences(three: Log) -> None:
    assert ask("GET", "/models/m/diff") == {
        "model": "m",
        "from": 1,
        "to": 3,
        "manifest": [],
        "graph": [],
        "metrics": [],
    }
    assert ask("GET", "/models/m/diff", query={"from": "2", "to": "production"})["to"] == 1
    ask("GET", "/models/m/diff", status=404, query={"from": "9"})


def test_a_split_answers_with_both_versions_and_keeps_keys(store: MemoryStore) -> None:
    for n in (1, 2):
        upload(store, "m", {"model.onnx": linear([[float(n)], [0.0]])})
    ask("PUT", PRODUCTION, {"split": {"1": 50, "2": 50}})
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 1.0]}]}

    def versions(calls: int, headers: dict[str, str]) -> set[str]:
        answers = [call(inference, "POST", "/v2/models/m/infer", body, headers=headers) for _ in range(calls)]
        for answer in answers:
            assert answer.json["outputs"][0]["data"] == [float(answer.json["model_version"])]
            assert answer.headers["x-amaas-version"] == answer.json["model_version"]
        return {answer.json["model_version"] for answer in answers}

    assert versions(64, {}) == {"1", "2"}, "one caller gets both"
    assert set.union(*(versions(1, {"x-request-key": str(n)}) for n in range(64))) == {"1", "2"}
    assert all(len(versions(10, {"x-request-key": key})) == 1 for key in ("ann", "bob"))
