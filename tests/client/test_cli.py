"""The command line, verb by verb: for people, for programs (--json), and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from amaas import __version__
from amaas.cli.app import MODULES, main
from amaas.client import Client
from click.testing import CliRunner

from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.client.models import PNG, served
from tests.registry.conftest import push


@pytest.fixture
def image(tmp_path: Path) -> str:
    (tmp_path / "shoe.png").write_bytes(PNG)
    return str(tmp_path / "shoe.png")


def answered(run: Run, *arguments: str, **options: Any) -> Any:
    """The JSON on standard output, which must be all there is on it."""
    result = run(*arguments, "--json", **options)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_push(run: Run, service: Service, package: Path) -> None:
    result = run("push", str(package))
    assert (result.exit_code, result.stdout.splitlines()[1:], result.stderr) == (0, [], "")
    state = answered(run, "push", str(package), "--model", "other")
    assert (state["model"], state["state"], state["version"]) == ("other", "registered", 1)
    service.checks = False
    upload = answered(run, "push", str(package), "--no-wait")["upload_id"]
    assert run("upload", "show", upload).stdout == f"fashion {upload} is checking\n"
    result = run("push", str(package), "--timeout", "0.2")
    assert result.exit_code == 1
    assert "is still 'checking' after 0.2 s; the service goes on with it: `amaas upload wait " in result.stderr


def test_a_rejected_push_exits_with_3(run: Run, package: Path) -> None:
    (package / "model.onnx").write_bytes(b"bad")
    result = run("push", str(package))
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "amaas: the package was rejected (not_onnx): this is not an ONNX model: export it again\n"
    result = run("push", str(package), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["reason"] == "this is not an ONNX model: export it again"


def test_ls(run: Run, log: Log) -> None:
    assert run("ls").stdout == "no models yet: `amaas push` brings one\n"
    for name in ("alpha", "beta", "gamma"):
        push(log, name, task="image-classification")
    heading, *rows = run("ls").stdout.splitlines()
    assert heading.split() == ["model", "task", "production", "latest", "updated"]
    assert rows[0].split()[:4] == ["alpha", "image-classification", "1", "1"]
    assert [row["name"] for row in answered(run, "ls")] == ["alpha", "beta", "gamma"]
    assert [row["name"] for row in answered(run, "ls", "--search", "et")] == ["beta"]


def test_show(run: Run, log: Log) -> None:
    served(log)
    push(log, "digits")
    shown = run("show", "digits").stdout
    assert "production" in shown and "10 B" in shown
    assert answered(run, "show", "digits")["aliases"]["production"]["version"] == 1
    assert answered(run, "show", "digits@2")["version"] == 2
    assert answered(run, "show", "digits@production")["version"] == 1
    shown = run("show", "digits@1").stdout
    assert shown.startswith("digits version 1 image-classification ")
    assert "image  FP32  ?x1x4x4" in shown and "[bold]cat[31m, dog" in shown
    numbers = [line.split()[0] for line in run("versions", "digits").stdout.splitlines()]
    assert numbers == ["version", "2", "1"]
    assert [row["version"] for row in answered(run, "versions", "digits")] == [2, 1]
    assert "version 1 is not signed" in run("signature", "digits@1").stderr


def test_a_card_is_shown(run: Run, log: Log) -> None:
    served(log)
    assert "A fine model." in run("show", "digits").stdout


def test_predict_draws_bars_and_takes_labels_literally(run: Run, service: Service, log: Log, image: str) -> None:
    served(log)
    heading, first, second = run("predict", "digits", image).stdout.splitlines()
    assert heading == "digits version 1"
    assert "[bold]cat[31m" in first + second  # no markup, and no escape character
    assert first.count("█") > second.count("█")
    assert {row["label"] for row in answered(run, "predict", "digits", image)["predictions"]} >= {"dog"}
    assert len(answered(run, "predict", "digits@1", image, "--top-k", "1", "--key", "k")["predictions"]) == 1
    assert service.calls[-1].path == "/models/digits/versions/1/predict"


def test_predict_takes_files_standard_input_and_data(run: Run, log: Log, tmp_path: Path) -> None:
    served(log)
    body = '{"inputs": {"x": [[1.5, 1]]}}'
    (tmp_path / "x.json").write_text(body)
    for arguments, standard_input in ((["x.json"], None), (["-"], body), (["--data", body], None)):
        assert answered(run, "predict", "sum", *arguments, input=standard_input)["outputs"] == {"y": [[11.5]]}
    assert json.loads(run("predict", "sum", "x.json").stdout.partition("\n")[2])["outputs"] == {"y": [[11.5]]}
    refused = run("predict", "digits", "x.json", "--type", "text/plain")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("amaas: this model takes image/png or image/jpeg")


def test_explain(run: Run, log: Log, image: str, tmp_path: Path) -> None:
    served(log)
    assert "strongest" in run("explain", "digits", image, "--label", "dog").stdout
    assert answered(run, "explain", "digits", image, "--method", "rise")["method"] == "rise"
    assert "the reasons are in why.png" in run("explain", "digits", image, "--out", "why.png").stdout
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_infer_and_stats(run: Run, log: Log) -> None:
    served(log)
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
    assert answered(run, "infer", "sum", "-", input=body)["outputs"][0]["data"] == [21.0]
    assert json.loads(run("infer", "sum@1", "-", input=body).stdout)["model_version"] == "1"
    assert run("infer", "sum", "-", input="{").exit_code == 2
    shown = run("stats", "sum", "--process").stdout
    assert shown.startswith("sum version 1\n") and "compute_infer" in shown
    assert answered(run, "stats", "sum@1", "--process")["inference_count"] >= 2


def test_status(run: Run, log: Log, service: Service) -> None:
    push(log, "m")
    assert run("status").stdout == f"ready · 1 model · {service.api_url}\n"
    assert answered(run, "status") == {"url": service.api_url, "live": True, "ready": True, "models": 1}


def test_token(run: Run, service: Service) -> None:
    secret = run("token", "create", "ci", "--scope", "infer:m*", "--scope", "read", "--days", "2").stdout
    assert service.calls[-1].json() == {"name": "ci", "scopes": ["infer:m*", "read"], "expires_in_days": 2.0}
    assert len(secret.splitlines()) == 1  # however narrow the terminal
    with Client(service.api_url, secret) as client:
        assert client.list_models() == []
    created = answered(run, "token", "create", "two", "--scope", "admin")
    identity = created["id"]
    assert created["token"].startswith(f"amaas_{identity}_")
    assert run("token", "revoke", identity).stdout == f"token {identity} is revoked: refused within 10 s\n"
    assert answered(run, "token", "revoke", identity)["revoked"] is True
    assert identity in [row["id"] for row in answered(run, "token", "ls")]
    assert "infer:m*, read" in run("token", "ls").stdout and "revoked" in run("token", "ls").stdout


def test_limits_of_a_token(run: Run, service: Service) -> None:
    created = answered(run, "token", "create", "guest", "--scope", "infer", "--limit", "batch_jobs=2",
                       "--limit", "upload_bytes=1_000_000")  # fmt: skip
    assert service.calls[-1].json()["limits"] == {"batch_jobs": 2, "upload_bytes": 1_000_000}
    assert created["limits"]["batch_jobs"] == 2
    own = answered(run, "token", "self", "--token", created["token"])
    assert (own["id"], own["limits"]["upload_bytes"]) == (created["id"], 1_000_000)
    assert "1,000,000" in run("token", "self", "--token", created["token"]).stdout
    refused = run("token", "create", "guest", "--scope", "infer", "--limit", "calls=2")
    assert refused.exit_code == 2 and "there is no limit 'calls': there are rate, burst" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "m"],
        ["predict", "m", "shoe.png", "--data", "{}"],
        ["predict", "m", "--text", "a", "--data", "{}"],
        ["predict", "m", "--data", "{"],
        ["predict", "m", "nowhere.png"],
        ["predict", "m@", "shoe.png"],
        ["show", "@1"],
        ["promote", "m", "latest"],
        ["promote", "m", "0"],
        ["push", "nowhere"],
        ["token", "create", "ci"],
        ["token", "create", "ci", "--scope", "infer", "--limit", "quota"],
        ["token", "create", "ci", "--scope", "infer", "--limit", "quota=many"],
        ["chat", "m"],
        ["chat", "m", "hello", "--temperature", "3"],
        ["chat", "m", "hello", "--schema", "nowhere"],
        ["batch", "m"],
        ["batch", "m", "nowhere"],
        ["batch", "run", "--resume"],
        ["fly"],
    ],
)
def test_wrong_usage_exits_with_2_and_calls_nobody(
    run: Run, service: Service, image: str, arguments: list[str]
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
    assert not service.calls


def test_an_error_is_one_line_and_leaves_standard_output_alone(run: Run) -> None:
    result = run("show", "nope")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("amaas: there is no model 'nope'") and result.stderr.count("\n") == 1


def test_options_go_before_the_environment(run: Run) -> None:
    result = run("ls", "--token", "amaas_wrong")
    assert result.exit_code == 1 and result.stderr.startswith("amaas: no valid token: ")
    result = run("ls", "--url", "nonsense")
    assert result.stderr.startswith("amaas: 'nonsense' is not the address of a service")


def test_no_service_and_no_token_are_configured(service: Service) -> None:
    result = CliRunner().invoke(main, ["ls"])
    assert (
        result.exit_code,
        result.stderr.startswith("amaas: no service is configured: `amaas login`, give --url"),
    ) == (1, True)
    result = CliRunner().invoke(main, ["ls", "--url", service.api_url])
    assert (result.exit_code, result.stderr.startswith("amaas: no token is configured: give --token")) == (1, True)


def test_the_local_deployment_is_found(service: Service, log: Log, tmp_path: Path) -> None:
    push(log, "m")
    (tmp_path / ".local").mkdir()
    access = {"api_url": service.api_url, "token": service.tokens["ann"]}
    (tmp_path / ".local" / "amaas.json").write_text(json.dumps(access))
    assert "tensor" in CliRunner().invoke(main, ["ls"]).stdout


def verbs(group: click.Group = main) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((name, *verb) for verb in verbs(command))
        elif not command.hidden:
            yield (name,)


def test_every_module_has_the_verbs_that_it_is_imported_for() -> None:
    for module, names in MODULES.items():
        assert sorted(import_module(f"amaas.cli.{module}").verbs.commands) == sorted(names)


def test_every_verb_explains_itself(run: Run) -> None:
    assert len(list(verbs())) == 73
    for verb in verbs():
        shown = run(*verb, "--help").stdout
        assert all(option in shown for option in ("--json", "--url", "--token", "--profile")), verb


def test_the_version(run: Run) -> None:
    assert __version__ in run("--version").stdout


def test_what_is_piped_is_plain_and_not_wrapped(service: Service, log: Log) -> None:
    push(log, "m" * 90)
    env = {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"], "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "amaas", "ls"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 2
    assert "\x1b" not in result.stdout and not result.stderr


@pytest.mark.parametrize("columns", [{}, {"COLUMNS": "80"}], ids=["", "COLUMNS"])
def test_a_piped_row_is_whole_however_wide_another_one_is(service: Service, run: Run, columns: dict[str, str]) -> None:
    scopes = [f"infer:{'long' * 12}-{n}" for n in range(20)]
    run("token", "create", "wide", *(word for scope in scopes for word in ("--scope", scope)))
    run("token", "create", "narrow", "--scope", "infer:fashion-*", "--scope", "read:fashion-mnist")
    env = {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"], "PATH": "/usr/bin:/bin"} | columns
    command = [sys.executable, "-m", "amaas", "token", "ls"]
    rows = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    [wide] = [row for row in rows if "wide" in row]
    assert all(scope in wide for scope in scopes)
    assert any("narrow" in row and "infer:fashion-*, read:fashion-mnist" in row for row in rows)


def test_progress_is_shown_on_standard_error_of_a_terminal(
    run: Run, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that it speaks to a terminal
    shown = run("push", str(package))
    assert "sending" in shown.stderr and "checking" in shown.stderr and "sending" not in shown.stdout
    assert run("push", str(package), "--json").stderr == ""


def test_no_color(run: Run, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    push(log, "m")
    monkeypatch.setenv("FORCE_COLOR", "1")
    green = "\x1b[32m"
    assert green in run("show", "m").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert green not in run("show", "m").stdout
