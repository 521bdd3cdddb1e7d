"""The command line, verb by verb: for people, for programs (--json), and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from amaas.cli.models import main
from click.testing import CliRunner

from tests.client.conftest import Run
from tests.client.fake_service import TOKEN, WHEN, Fake
from tests.client.server import Server


@pytest.fixture
def image(tmp_path: Path) -> str:
    (tmp_path / "shoe.png").write_bytes(b"\x89PNG...")
    return str(tmp_path / "shoe.png")


def answered(run: Run, *arguments: str, **options: Any) -> Any:
    """The JSON on standard output, which must be all there is on it."""
    done = run(*arguments, "--json", **options)
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_push(run: Run, fake: Fake, package: Path) -> None:
    done = run("push", str(package))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "fashion version 1 is registered\n", "")
    state = answered(run, "push", str(package), "--model", "other")
    assert (state["model"], state["state"], state["version"]) == ("other", "registered", 1)
    fake.verdicts = False
    assert run("push", str(package), "--no-wait").stdout == "fashion u3 is checking\n"
    done = run("push", str(package), "--timeout", "0.2")
    assert done.exit_code == 1
    assert done.stderr.startswith("amaas: upload u4 is still 'checking' after 0.2 s")


def test_a_rejected_push_exits_with_3(run: Run, package: Path) -> None:
    (package / "model.onnx").write_bytes(b"bad")
    done = run("push", str(package))
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == "amaas: the package was rejected (not_onnx): this is no ONNX model: export it again\n"
    done = run("push", str(package), "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["reason"] == "this is no ONNX model: export it again"


def test_ls(run: Run, fake: Fake) -> None:
    assert run("ls").stdout == "no models yet: `amaas push` brings one\n"
    for name in ("alpha", "beta", "gamma"):
        fake.add(name)
    heading, *rows = run("ls").stdout.splitlines()
    assert heading.split() == ["model", "task", "production", "latest", "updated"]
    assert rows[0].split() == ["alpha", "image-classification", "1", "1", "2026-01-02", "03:04:05"]
    assert [row["name"] for row in answered(run, "ls")] == ["alpha", "beta", "gamma"]
    assert [row["name"] for row in answered(run, "ls", "--search", "et")] == ["beta"]


def test_show(run: Run, fake: Fake) -> None:
    fake.add("m")
    fake.add("m")
    shown = run("show", "m").stdout
    assert "production" in shown and "2.0 KiB" in shown and "A fine model." in shown
    assert answered(run, "show", "m")["aliases"] == {"production": {"version": 1}}
    assert answered(run, "show", "m@2")["version"] == 2
    assert answered(run, "show", "m@production")["version"] == 1
    shown = run("show", "m@2").stdout
    assert shown.startswith("m version 2 image-classification 4.0 KiB\n")
    assert "image  FP32  ?x1x28x28" in shown and "cat, dog" in shown


def test_predict_draws_bars_and_takes_labels_literally(run: Run, fake: Fake, image: str) -> None:
    fake.add("m")
    heading, first, second = run("predict", "m", image).stdout.splitlines()
    assert heading == "m version 1"
    assert first.split()[:2] == ["[bold]cat[31m", "0.7500"]  # no markup, and no escape character
    assert first.count("█") == 3 * second.count("█") + 1
    assert answered(run, "predict", "m", image)["predictions"][1] == {"label": "dog", "score": 0.25}
    assert len(answered(run, "predict", "m@1", image, "--top-k", "1")["predictions"]) == 1
    assert fake.calls[-1].path == "/models/m/versions/1/predict"


def test_predict_takes_files_standard_input_and_words(run: Run, fake: Fake, tmp_path: Path) -> None:
    fake.add("m", "tensor")
    body = '{"inputs": {"x": [[1.5]]}}'
    (tmp_path / "x.json").write_text(body)
    for arguments, given in ((["x.json"], None), (["-"], body), (["--data", body], None)):
        assert answered(run, "predict", "m", *arguments, input=given)["outputs"] == {"y": [[1.5]]}
    assert json.loads(run("predict", "m", "x.json").stdout.partition("\n")[2]) == {"outputs": {"y": [[1.5]]}}
    refused = run("predict", "m", "x.json", "--type", "text/plain")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "amaas: model 'm' takes an image (image/png, image/jpeg), not 'text/plain'\n"


def test_status(run: Run, fake: Fake, server: Server) -> None:
    fake.add("m")
    assert run("status").stdout == f"ready · 1 model · {server.api_url}\n"
    assert answered(run, "status") == {"url": server.api_url, "live": True, "ready": True, "models": 1}


def test_token(run: Run, fake: Fake) -> None:
    secret = run("token", "create", "ci", "--scope", "infer:m*", "--scope", "read", "--days", "2").stdout
    assert secret == f"amaas_0001_{'s' * 200}\n"  # on one line, however narrow the terminal
    assert fake.calls[-1].json() == {"name": "ci", "scopes": ["infer:m*", "read"], "expires_in_days": 2.0}
    assert answered(run, "token", "create", "two", "--scope", "admin")["token"].startswith("amaas_0002_")
    assert run("token", "revoke", "0001").stdout == "token 0001 is revoked\n"
    assert answered(run, "token", "revoke", "0002")["revoked"] is True
    assert [row["id"] for row in answered(run, "token", "ls")] == ["0001", "0002"]
    assert "infer:m* read" in run("token", "ls").stdout and WHEN[:10] in run("token", "ls").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "m"],
        ["predict", "m", "shoe.png", "--data", "{}"],
        ["predict", "m", "--data", "{"],
        ["predict", "m", "nowhere.png"],
        ["predict", "m@", "shoe.png"],
        ["show", "@1"],
        ["promote", "m", "latest"],
        ["promote", "m", "0"],
        ["push", "nowhere"],
        ["token", "create", "ci"],
        ["fly"],
    ],
)
def test_wrong_usage_exits_with_2_and_calls_nobody(run: Run, fake: Fake, image: str, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")
    assert not fake.calls


def test_an_error_is_one_line_and_leaves_standard_output_alone(run: Run) -> None:
    done = run("show", "nope", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "amaas: there is no model 'nope': GET /models lists those there are\n"


def test_options_go_before_the_environment(run: Run, server: Server) -> None:
    done = run("ls", "--token", "amaas_wrong")
    assert (done.exit_code, done.stderr) == (
        1,
        "amaas: this token is not known: send Authorization: Bearer amaas_…\n",
    )
    done = run("ls", "--url", "nonsense")
    assert done.stderr.startswith("amaas: 'nonsense' is no address of a service")


def test_no_service_and_no_token_are_known(server: Server) -> None:
    done = CliRunner().invoke(main, ["ls"])
    assert (done.exit_code, done.stderr.startswith("amaas: no service is known: give --url")) == (1, True)
    done = CliRunner().invoke(main, ["ls", "--url", server.api_url])
    assert (done.exit_code, done.stderr.startswith("amaas: no token is known: give --token")) == (1, True)


def test_the_local_deployment_is_found(server: Server, fake: Fake, tmp_path: Path) -> None:
    fake.add("m")
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "amaas.json").write_text(json.dumps({"api_url": server.api_url, "token": TOKEN}))
    assert "image-classification" in CliRunner().invoke(main, ["ls"]).stdout


def test_every_verb_explains_itself(run: Run) -> None:
    verbs = [[name] for name in main.commands if name != "token"] + [["token", n] for n in ("create", "ls", "revoke")]
    assert len(verbs) == 26
    for verb in verbs:
        shown = run(*verb, "--help").stdout
        assert all(option in shown for option in ("--json", "--url", "--token")), verb


def test_what_is_piped_is_plain_and_not_wrapped(server: Server, fake: Fake) -> None:
    fake.add("m" * 90)
    env = {"AMAAS_URL": server.api_url, "AMAAS_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "amaas", "ls"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 2
    assert "\x1b" not in done.stdout and not done.stderr


def test_progress_is_shown_on_standard_error_of_a_terminal(
    run: Run, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that it speaks to a terminal
    shown = run("push", str(package))
    assert "sending" in shown.stderr and "checking" in shown.stderr and "sending" not in shown.stdout
    assert run("push", str(package), "--json").stderr == ""


def test_no_color(run: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.add("m")
    monkeypatch.setenv("FORCE_COLOR", "1")
    green = "\x1b[32m"
    assert green in run("show", "m").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert green not in run("show", "m").stdout
