"""The command line against a real HTTP server: every verb, its JSON, its exit status, its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from amaas.cli import main
from tests.client.fake_service import TOKEN, Service, running


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    monkeypatch.chdir(tmp_path)
    with running() as made:
        monkeypatch.setenv("AMAAS_URL", made.url)
        monkeypatch.setenv("AMAAS_TOKEN", TOKEN)
        yield made


def amaas(*arguments: str, status: int = 0, stdin: bytes | None = None) -> Result:
    done = CliRunner().invoke(main, arguments, input=stdin)
    assert done.exit_code == status, (done.output, done.exception)
    return done


def as_json(*arguments: str, **options: Any) -> Any:
    return json.loads(amaas(*arguments, "--json", **options).stdout)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "my-package"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"m" * 700_000)
    (folder / "amaas.json").write_text(json.dumps({"name": "shoes", "golden": {"file": "golden.npz"}}))
    (folder / "golden.npz").write_bytes(b"g")
    (folder / "model.onnx.data").write_bytes(b"w")
    (folder / "notes.txt").write_text("not for upload")
    return folder


def test_push_sends_exactly_the_package(service: Service, package: Path) -> None:
    state = as_json("push", str(package))
    assert (state["model"], state["version"], state["state"]) == ("shoes", 1, "registered")
    sent = {key.rsplit("/", 1)[1]: body for key, body in service.stored.items()}
    assert sent == {
        n: (package / n).read_bytes() for n in ("model.onnx", "amaas.json", "golden.npz", "model.onnx.data")
    }


def test_push_a_bare_file(service: Service, tmp_path: Path) -> None:
    (tmp_path / "iris.onnx").write_bytes(b"x")
    assert "iris version 1 is registered" in amaas("push", "iris.onnx").stdout
    assert as_json("push", "iris.onnx", "--model", "flowers")["model"] == "flowers"
    assert as_json("push", "iris.onnx", "--no-wait")["state"] == "checking"


def test_push_in_parts_survives_a_bad_moment(service: Service, package: Path, monkeypatch) -> None:
    monkeypatch.setattr("amaas.uploads.time.sleep", lambda _: None)
    service.part_size, service.fail_parts = 300_000, 2
    assert as_json("push", str(package))["version"] == 1
    assert service.stored["/s3/upload0000/model.onnx"] == b"m" * 700_000


def test_a_push_that_fails_is_cleaned_up(service: Service, package: Path, monkeypatch) -> None:
    monkeypatch.setattr("amaas.uploads.time.sleep", lambda _: None)
    service.part_size, service.fail_parts = 300_000, 99
    assert "could not be sent" in amaas("push", str(package), status=1).stderr
    assert ("DELETE", "/s3/upload0000/model.onnx") in service.calls
    assert not any("model.onnx/" in key for key in service.stored)


def test_a_rejected_push_says_why(service: Service, package: Path) -> None:
    service.reject = "the model crashed"
    done = amaas("push", str(package), "--json", status=3)
    assert json.loads(done.stdout)["state"] == "rejected"
    assert "amaas: rejected (crashed): the model crashed" in done.stderr


def test_what_is_no_package(service: Service, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no model.onnx" in amaas("push", "empty", status=1).stderr
    (tmp_path / "empty" / "model.onnx").write_bytes(b"x")
    (tmp_path / "empty" / "amaas.json").write_text("{")
    assert "no valid JSON" in amaas("push", "empty", status=1).stderr
    assert not service.uploads


def test_ls_follows_pages(service: Service, tmp_path: Path) -> None:
    assert "no models yet" in amaas("ls").stdout
    (tmp_path / "m.onnx").write_bytes(b"x")
    for name in ("a1", "a2", "a3", "b1", "b2"):
        as_json("push", "m.onnx", "--model", name)
    assert [m["name"] for m in as_json("ls")] == ["a1", "a2", "a3", "b1", "b2"]
    assert [m["name"] for m in as_json("ls", "--search", "b")] == ["b1", "b2"]
    assert "a3" in amaas("ls").stdout


def test_show_promote_history(service: Service, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")
    as_json("push", "m.onnx")
    as_json("push", "m.onnx")
    assert as_json("promote", "m", "2", "--reason", "better")["version"] == 2
    assert json.loads(service.bodies[-1][1]) == {"version": 2, "reason": "better"}
    assert as_json("show", "m")["aliases"]["production"]["version"] == 2
    shown = amaas("show", "m").stdout
    assert "production" in shown
    assert "Card" in shown
    assert "FP32" in amaas("show", "m@production").stdout
    assert "revision 3" in amaas("promote", "m", "1", "--expect-revision", "9", status=1).stderr
    assert "production → 1" in amaas("history", "m").stdout
    assert as_json("history", "m")[0]["revision"] == 1


def test_predict(service: Service, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\x89PNG\r\n\x1a\n")
    answer = amaas("predict", "m", "image", "--top-k", "2").stdout
    assert "boot" in answer
    assert "0.9000" in answer
    assert service.bodies[-1][0] == "image/png"
    assert service.calls[-1] == ("POST", "/v1/models/m/predict?top_k=2")
    assert as_json("predict", "m@3", "--data", '{"x": 1}')["version"] == "3"
    assert service.bodies[-1] == ("application/json", b'{"x": 1}')
    as_json("predict", "m", "-", stdin=b"\xff\xd8\xff")
    assert service.bodies[-1] == ("image/jpeg", b"\xff\xd8\xff")
    assert "INPUT or --data" in amaas("predict", "m", status=2).stderr
    assert "no file" in amaas("predict", "m", "missing.png", status=1).stderr


def test_tokens_and_status(service: Service) -> None:
    assert as_json("token", "create", "ci", "--scope", "infer", "--scope", "read:a-*", "--days", "3") == {
        "name": "ci", "scopes": ["infer", "read:a-*"], "expires_in_days": 3, "id": "0" * 12, "created_at": "2026",
        "revoked": False, "token": "amaas_new",
    }  # fmt: skip
    assert amaas("token", "create", "x", "--scope", "infer").stdout.strip() == "amaas_new"
    assert "active" in amaas("token", "ls").stdout
    assert "revoked" in amaas("token", "revoke", "0" * 12).stdout
    assert as_json("token", "ls")[0]["revoked"] is True
    assert as_json("status") == {"url": service.url, "live": True, "ready": True, "models": 0}


def test_errors_are_the_services_own_words(service: Service) -> None:
    assert amaas("show", "nope", status=1).stderr == "amaas: there is no model 'nope'\n"
    assert "no valid token" in amaas("ls", "--token", "wrong", status=1).stderr


def test_a_busy_service_is_asked_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("amaas.http.time.sleep", waits.append)
    service.fail = [(429, {"Retry-After": "3"}), (503, {})]
    assert as_json("ls") == []
    assert waits[0] == 3.0
    service.fail = [(429, {})]
    assert as_json("token", "create", "x", "--scope", "infer")["id"] == "0" * 12
    service.fail = [(503, {})]
    assert "made to fail with 503" in amaas("token", "create", "y", "--scope", "infer", status=1).stderr


def test_where_the_service_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("amaas.http.time.sleep", lambda _: None)
    monkeypatch.chdir(tmp_path)
    assert "AMAAS_URL" in amaas("ls", status=1).stderr
    with running() as service:
        (tmp_path / ".local").mkdir()
        (tmp_path / "below").mkdir()
        (tmp_path / ".local" / "amaas.json").write_text(json.dumps({"api_url": service.url + "/", "token": TOKEN}))
        monkeypatch.chdir(tmp_path / "below")
        assert as_json("ls") == []
        monkeypatch.setenv("AMAAS_URL", "http://127.0.0.1:9")
        assert "does not answer" in amaas("ls", status=1).stderr
        assert as_json("ls", "--url", service.url) == []
    (tmp_path / ".local" / "amaas.json").write_text("{")
    monkeypatch.delenv("AMAAS_URL")
    assert "make run" in amaas("ls", status=1).stderr


def test_starting_costs_little() -> None:
    code = "import sys, amaas.cli; print([m for m in ('numpy', 'boto3', 'httpx', 'rich', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
