"""How commands end: one line, the exit status of the table, and no traceback, whatever happens."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from amaas.cli import ending
from amaas.cli.app import main
from amaas.client import Client
from amaas.errors import AmaasError, ApiError
from click.testing import CliRunner

from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.gateway import Service, Trouble
from tests.client.models import PNG, served
from tests.client.test_cli import verbs
from tests.registry.conftest import push
from tests.support import interruptible

README = Path(__file__).parents[2] / "client" / "README.md"
PLAIN = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(README.parent)}  # of a process: this tree's client
COMMAND = [sys.executable, "-m", "amaas"]


@pytest.fixture
def env(service: Service) -> dict[str, str]:
    return {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"], **PLAIN}


def of_process(env: dict[str, str], *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=env, text=True, stderr=subprocess.PIPE, check=False, **options)


def test_the_table_is_that_of_the_readme() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|$", README.read_text(), re.MULTILINE)
    assert {int(status): what for status, what in rows} == ending.STATUS


def one_line(result: Any, status: int = 1) -> str:
    assert result.exit_code == status, result.output
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert result.stderr.startswith("amaas: ") and result.stderr.count("\n") == 1, result.stderr
    return str(result.stderr)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("models"), "amaas: this should not have happened (KeyError: 'models'); AMAAS_DEBUG=1 shows where"),
        (RecursionError("deep"), "RecursionError: deep"),
        (OSError(28, "No space left on device"), "amaas: standard output: No space left on device\n"),
        (OSError(28, "No space left on device", "a.png"), "amaas: a.png: No space left on device\n"),
        (PermissionError(13, "Permission denied", "x"), "amaas: x: Permission denied\n"),
        (IsADirectoryError(21, "Is a directory", b"x"), "amaas: x: Is a directory\n"),
        (AmaasError("two\nlines"), "amaas: two lines\n"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "UnicodeDecodeError"),
    ],
    ids=repr,
)
def test_any_error_is_a_line(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def fail(self: Client, *arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(Client, "list_models", fail)
    assert told in one_line(run("ls"))
    shown = json.loads(run("ls", "--json").stderr)
    assert list(shown) == ["error", "code", "status", "request_id"]
    monkeypatch.setenv("AMAAS_DEBUG", "1")
    expected = isinstance(error, OSError | AmaasError)
    assert ("Traceback" in run("ls").stderr) is not expected


def test_an_error_as_json_has_the_services_code_and_request(run: Run, service: Service) -> None:
    body = b'{"error": "no", "code": "bad_input", "request_id": "r-1"}'
    service.trouble = [Trouble("GET", "/models$", 400, body, {"x-amzn-requestid": "r-2"})]
    result = run("ls", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr) == {"error": "no", "code": "bad_input", "status": 400, "request_id": "r-1"}


@pytest.mark.parametrize(
    ("status", "body", "code", "request_id"),
    [
        (404, b'{"error": "no"}', "not_found", "r-2"),
        (400, b'{"error": {"message": "no", "code": "bad_input"}, "request_id": "r-1"}', "bad_input", "r-1"),
        (400, b'{"error": {"message": "no", "code": null}}', "bad_request", "r-2"),
        (500, b"<html>", "internal_server_error", "r-2"),
        (500, b'[{"code": 5}]', "internal_server_error", "r-2"),
        (418, b'{"error": "no", "code": 5, "request_id": 5}', "i'm_a_teapot", None),
        (599, b'{"error": "no"}', "failed", "r-2"),
    ],
)
def test_what_an_answer_does_not_say_is_of_its_header_and_status(
    client: Client, service: Service, status: int, body: bytes, code: str, request_id: str | None
) -> None:
    service.trouble = [Trouble("GET", "/models$", status, body, {"x-amzn-RequestId": "r-2"})]
    with pytest.raises(ApiError) as refused:
        client.list_models()
    assert (refused.value.status, refused.value.code, refused.value.request_id) == (status, code, request_id)


def test_no_service_as_json(service: Service) -> None:
    result = CliRunner().invoke(main, ["ls", "--json"])
    told = json.loads(result.stderr)
    assert result.exit_code == 1 and told["error"].startswith("no service is configured")
    assert {**told, "error": ""} == {"error": "", "code": "not_connected", "status": None, "request_id": None}


def test_wrong_usage_as_json(run: Run) -> None:
    result = run("predict", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["code"] == "wrong_usage"
    assert "Missing argument" in json.loads(result.stderr)["error"]
    assert run("train", "--data", "d", "--model", "m", "--nonsense", "--", "--json").stderr.startswith("Usage: ")


def test_a_rejection_as_json(run: Run, package: Path) -> None:
    (package / "model.onnx").write_bytes(b"bad")
    result = run("push", str(package), "--json")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (3, "rejected")
    assert json.loads(result.stderr)["code"] == "not_onnx"


def test_a_question_without_an_answer(run: Run, log: Log) -> None:
    push(log, "m")
    assert run("delete", "m", input="").stderr.endswith(
        "amaas: nothing was done: there is nobody to answer; --yes goes without asking\n"
    )
    refused = run("delete", "m", input="n\n")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (1, "amaas: nothing was done")
    assert run("delete", "m", input="y\n").exit_code == 0


def test_ctrl_c_is_one_line_and_130(service: Service, env: dict[str, str]) -> None:
    service.trouble = [Trouble("GET", "/models$", 200, delay=30)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*COMMAND, "ls"], env=env, text=True, **pipes, preexec_fn=interruptible)
    while not service.calls:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=20)
    assert (process.returncode, said, told) == (130, "", "amaas: interrupted\n")


def test_a_reader_that_ends_is_no_error(env: dict[str, str], log: Log) -> None:
    push(log, "m", 1200)
    for arguments in (("versions", "m"), ("versions", "m", "--json"), ("history", "m", "--all")):
        process = subprocess.Popen([*COMMAND, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout and process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (141, b"")
        process.stderr.close()


def test_an_output_that_is_closed(env: dict[str, str]) -> None:
    for arguments in (["ls"], ["ls", "--json"]):
        done = subprocess.run(
            ["/bin/sh", "-c", '"$@" >&-', "sh", *COMMAND, *arguments], env=env, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_a_full_disk_is_one_line(env: dict[str, str], log: Log) -> None:
    push(log, "m", 100)
    for arguments in (("versions", "m"), ("versions", "m", "--json")):
        with open("/dev/full", "w") as full:
            done = of_process(env, *arguments, stdout=full)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "standard output: No space left on device" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_a_full_disk_of_out_names_the_file(run: Run, log: Log, tmp_path: Path) -> None:
    served(log)
    (tmp_path / "shoe.png").write_bytes(PNG)
    refused = one_line(run("explain", "digits", "shoe.png", "--out", "/dev/full"))
    assert refused.startswith("amaas: /dev/full is not whole (No space left on device): ")


def test_few_characters_are_no_error(run: Run, env: dict[str, str], log: Log, tmp_path: Path) -> None:
    done = of_process(env | {"PYTHONIOENCODING": "ascii"}, "status", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("ready - ")
    push(log, "m")
    (tmp_path / "card.md").write_text("Grüße ☃ 🎉 →", encoding="utf-8")
    run("edit", "m", "--card", "card.md")
    done = of_process(env | {"PYTHONIOENCODING": "ascii"}, "show", "m", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "") and "Gr\\u00fc\\u00dfe \\u2603 \\ud83c\\udf89 ->" in done.stdout
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = of_process(env | {"PYTHONIOENCODING": encoding}, "show", "m", "--json", stdout=subprocess.PIPE)
        assert json.loads(done.stdout)["card"] == "Grüße ☃ 🎉 →"


def test_a_folder_that_is_gone(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = 'cd gone && rmdir ../gone && exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *COMMAND, "ls"],
        cwd=tmp_path, env=env | {"AMAAS_URL": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "no service is configured" in done.stderr and done.stderr.count("\n") == 1


# of each verb, arguments that are right; files are made by the test
ARGUMENTS = {
    ("batch", "run"): ("m", "x.jsonl"), ("train", "run"): ("--data", "d", "--model", "m", "--no-wait"),
    ("push",): ("shoes",), ("predict",): ("m", "x.jsonl"), ("explain",): ("m", "x.jsonl"), ("infer",): ("m", "x.json"),
    ("rerank",): ("m", "q", "d"), ("promote",): ("m", "1"), ("split",): ("m", "1=90", "2=10"), ("approve",): ("m", "1"),
    ("reject",): ("m", "1"), ("retire",): ("m@1",), ("delete",): ("m", "--yes"), ("edit",): ("m", "--tag", "t"),
    ("chat",): ("m", "hello"), ("label", "give"): ("m", "--answer", "a", "--label", "l"),
    ("token", "create"): ("n", "--scope", "read"), ("policy",): ("m",), ("alias", "rm"): ("m", "a"),
    ("alias", "protect"): ("m", "a"), ("protect",): ("m", "a"), ("train", "reports"): ("j", "folder"),
    ("batch", "ls"): (), ("batch", "list"): (), ("ls",): (), ("status",): (), ("token", "ls"): (),
    ("token", "self"): (), ("train", "ls"): (), ("cost",): (), ("redrive",): (),
}  # fmt: skip
HERE_ALONE = {
    ("check",),
    ("init",),
    ("optimize",),
    ("tune",),
    ("login",),
    ("logout",),
    ("profiles",),
    ("completion", "install"),
    ("completion", "show"),
}  # call a service last, or none


def remote_verbs() -> list[tuple[str, ...]]:
    return [verb for verb in verbs() if verb not in HERE_ALONE]


@pytest.mark.parametrize("trouble", ["address", "closed port", "500", "html", "list", "nothing", "Ctrl-C", "proxy"])
def test_no_verb_has_a_traceback(
    service: Service, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    for name in ("x.jsonl", "x.json"):
        (tmp_path / name).write_text("{}")
    env = {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"]}
    bodies = {"html": b"<html>", "list": b"[[]]", "nothing": b"", "500": b"<html>"}
    if trouble == "address":
        env["AMAAS_URL"] = "http://[::1"
    elif trouble == "closed port":
        env["AMAAS_URL"] = "http://127.0.0.1:9"
    elif trouble == "proxy":
        env["http_proxy"] = "socks5://127.0.0.1:9"
    elif trouble == "Ctrl-C":
        monkeypatch.setattr("amaas.api.transport.request", interrupt)
        monkeypatch.setattr("amaas.api.transport.opened", interrupt)
    else:
        status = 500 if trouble == "500" else 200
        service.trouble = [Trouble("", "", status, bodies[trouble], times=10_000)]
    for verb in remote_verbs():
        arguments = ARGUMENTS.get(verb, ("x",))
        result = CliRunner(env=env).invoke(main, [*verb, *arguments], catch_exceptions=False)
        assert "Traceback" not in result.output and result.exit_code in ending.STATUS, (verb, result.output)
        assert result.exit_code != ending.WRONG_USAGE, (verb, result.output)
        if trouble not in ("list", "nothing"):
            assert result.stderr.splitlines()[-1].startswith("amaas: "), (verb, result.output)
            assert result.exit_code == (130 if trouble == "Ctrl-C" else 1), (verb, result.output)


def interrupt(*arguments: Any, **options: Any) -> None:
    raise KeyboardInterrupt
