"""Pushing: what is sent, how it is sent, and what happens when sending or the verdict goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from amaas import AmaasError, ApiError, Client, NotConnected, Rejected

from shared.uploads import states
from tests.client.conftest import Run
from tests.client.gateway import Service, Trouble
from tests.support import interruptible


def aborted(service: Service) -> list[str]:
    """The names of the files whose multipart uploads were aborted."""
    return [key.rpartition("/")[2] for key in service.storage.aborted]


def test_a_package_arrives_as_it_is(client: Client, service: Service, package: Path) -> None:
    state = client.push(package)
    assert (state["model"], state["state"], state["version"]) == ("fashion", "registered", 1)
    names = ["model.onnx", "amaas.json", "checks.npz", "weights.data"]
    assert service.sent_files() == {name: (package / name).read_bytes() for name in names}
    [announced] = service.received("POST", "/models/fashion/uploads$")
    assert announced.json()["files"][0] == {
        "name": "model.onnx",
        "size": 150,
        "sha256": hashlib.sha256(b"graph" * 30).hexdigest(),
    }


def test_a_large_file_goes_in_parts_and_the_rest_whole(client: Client, service: Service, package: Path) -> None:
    client.push(package)
    parts = service.received("PUT", "weights.data")
    assert sorted(len(part.body) for part in parts) == [100, 600, 600, 600, 600]
    assert not service.storage.parts and not service.storage.aborted
    assert len(service.received("PUT", "model.onnx")) == 1


def test_storage_never_sees_the_token(client: Client, service: Service, package: Path) -> None:
    client.push(package)
    stored = [call for call in service.calls if call.path.startswith("/storage/")]
    assert len(stored) == 9
    assert all("authorization" not in call.headers and "transfer-encoding" not in call.headers for call in stored)


def test_a_file_is_a_package_named_after_it(client: Client, service: Service, tmp_path: Path) -> None:
    (tmp_path / "tiny.v2.onnx").write_bytes(b"graph")
    assert client.push(tmp_path / "tiny.v2.onnx")["model"] == "tiny.v2"
    assert list(service.sent_files()) == ["model.onnx"]
    assert client.push(str(tmp_path / "tiny.v2.onnx"), "other")["model"] == "other"


def test_a_folder_without_a_name_gives_its_own(client: Client, package: Path) -> None:
    (package / "amaas.json").unlink()
    assert client.push(package)["model"] == "shoes"


def test_files_that_the_manifest_names_are_sent(client: Client, service: Service, package: Path) -> None:
    """Tokenizer, reference rows, golden set: under whatever names, and nothing else that lies there."""
    named = {"preprocess": {"tokenizer": "words.json", "reference": "rows.csv"}, "golden": {"file": "cases.npz"}}
    named |= {"postprocess": {"kind": "similarity", "text": {"tokenizer": "labels.json"}}}
    (package / "amaas.json").write_text(json.dumps({"name": "fashion"} | named))
    for name in ("words.json", "labels.json", "rows.csv", "cases.npz", "notes.txt"):
        (package / name).write_text(name)
    client.push(package)
    sent = set(service.sent_files())
    assert sent >= {"model.onnx", "amaas.json", "words.json", "labels.json", "rows.csv", "cases.npz"}
    assert "notes.txt" not in sent


@pytest.mark.parametrize("name", ["../secret.npz", "/etc/hostname", "train.py/.."])
def test_a_golden_file_outside_of_the_package_is_not_sent(
    client: Client, service: Service, package: Path, name: str
) -> None:
    (package.parent / "secret.npz").write_bytes(b"secret")
    (package / "amaas.json").write_text(json.dumps({"name": "fashion", "golden": {"file": name}}))
    client.push(package)
    assert sorted(service.sent_files()) == ["amaas.json", "model.onnx", "weights.data"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("amaas.json", "{", "is not valid JSON"),
        ("amaas.json", "[1]", "is not a JSON object"),
        ("amaas.json", "[" * 100_000, r"is not valid JSON: .*thousands of them"),
        ("model.onnx", "", "empty"),
    ],
)
def test_what_is_no_package_is_refused_before_anything_is_sent(
    client: Client, service: Service, package: Path, name: str, content: str, message: str
) -> None:
    (package / name).write_text(content)
    with pytest.raises(AmaasError, match=message):
        client.push(package)
    assert not service.calls


def test_a_folder_without_a_model_says_what_to_do(client: Client, package: Path) -> None:
    (package / "model.onnx").rename(package / "net.onnx")
    (package / "other.ONNX").write_bytes(b"graph")
    with pytest.raises(AmaasError, match=r"has no model\.onnx of net\.onnx, other\.ONNX: push one of these files"):
        client.push(package)
    with pytest.raises(AmaasError, match="does not exist"):
        client.push(package / "nowhere")


def test_progress_ends_at_the_whole_even_when_a_part_is_sent_twice(
    client: Client, service: Service, package: Path
) -> None:
    service.trouble = [Trouble("PUT", "partNumber=2", 500, b"<Error/>"), Trouble("PUT", "model.onnx", 503)]
    seen: list[tuple[int, int]] = []
    client.push(package, on_progress=lambda sent, total: seen.append((sent, total)))
    total = sum(len(content) for content in service.sent_files().values())
    assert seen[-1] == (total, total)
    assert all(0 <= sent <= total for sent, _ in seen)


def test_a_whole_file_whose_answer_was_lost_counts_as_sent(client: Client, service: Service, package: Path) -> None:
    service.trouble = [Trouble("PUT", "model.onnx", 0, after=True)]
    assert client.push(package)["state"] == "registered"
    assert len(service.received("PUT", "model.onnx")) == 2  # the second was answered 412


def test_an_object_that_is_there_at_once_is_an_error(
    client: Client, service: Service, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def occupied(key: str, **presigned: Any) -> tuple[str, dict[str, str]]:
        service.store.put(key, b"another's")
        return presign(key, **presigned)

    presign = service.store.presign_put
    monkeypatch.setattr(service.store, "presign_put", occupied)
    with pytest.raises(ApiError, match=r"storage refused model\.onnx: 412"):
        client.push(package)


def test_a_refused_signature_is_not_tried_again(client: Client, service: Service, package: Path) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>Request has expired &amp; more</Message></Error>"
    service.trouble = [Trouble("PUT", "model.onnx", 403, body)]
    with pytest.raises(ApiError, match="403 Request has expired & more") as error:
        client.push(package)
    assert error.value.status == 403
    assert len(service.received("PUT", "model.onnx")) == 1


def sent_parts(service: Service) -> list[str]:
    return sorted(call.query["partNumber"] for call in service.received("PUT", "weights"))


def test_parts_that_cannot_be_sent_end_a_push_and_the_next_one_goes_on(
    client: Client, service: Service, package: Path
) -> None:
    service.trouble = [Trouble("PUT", "partNumber=3", 500, b"<Error><Message>broken</Message></Error>", times=99)]
    with pytest.raises(ApiError, match=r"storage refused weights\.data: 500 broken"):
        client.push(package)
    assert sent_parts(service).count("3") == 4
    assert aborted(service) == [], "what has arrived stays, for as long as the bucket's rules let it"
    arrived, whole = set(sent_parts(service)) - {"3"}, len(service.received("PUT", "model.onnx"))
    service.trouble, before = [], len(service.received("PUT", "weights"))
    seen: list[tuple[int, int]] = []
    assert client.push(package, on_progress=lambda sent, total: seen.append((sent, total)))["state"] == "registered"
    again = [call.query["partNumber"] for call in service.received("PUT", "weights")[before:]]
    assert "3" in again and not arrived & set(again), "no part is sent twice"
    assert len(service.received("PUT", "model.onnx")) == whole and seen[-1][0] == seen[-1][1]
    assert len(service.received("POST", "/models/fashion/uploads$")) == 1, "it is one upload"
    assert service.sent_files()["weights.data"] == (package / "weights.data").read_bytes()


def test_an_interrupted_push_whose_upload_is_gone_begins_anew(client: Client, service: Service, package: Path) -> None:
    service.trouble = [Trouble("PUT", "partNumber=3", 500, b"<Error><Message>broken</Message></Error>", times=99)]
    with pytest.raises(ApiError):
        client.push(package)
    service.trouble = [Trouble("PUT", "partNumber=3", 403, b"<Error><Message>Request has expired</Message></Error>")]
    assert client.push(package)["state"] == "registered"
    assert len(service.received("POST", "/models/fashion/uploads$")) == 2


def test_other_content_is_another_upload(client: Client, service: Service, package: Path) -> None:
    service.trouble = [Trouble("PUT", "partNumber=3", 500, b"<Error><Message>broken</Message></Error>", times=99)]
    with pytest.raises(ApiError):
        client.push(package)
    service.trouble = []
    (package / "weights.data").write_bytes(b"other" * 500)
    assert client.push(package)["state"] == "registered"
    assert len(service.received("POST", "/models/fashion/uploads$")) == 2
    assert service.sent_files()["weights.data"] == b"other" * 500


def test_notes_are_for_their_owner_and_go_when_the_package_is_there(
    client: Client, service: Service, package: Path, tmp_path: Path
) -> None:
    folder = Path(os.environ["AMAAS_CACHE"]) / "uploads"
    service.trouble = [Trouble("PUT", "partNumber=3", 500, b"<Error><Message>broken</Message></Error>", times=99)]
    with pytest.raises(ApiError):
        client.push(package)
    [note] = folder.iterdir()
    assert note.stat().st_mode & 0o077 == 0
    note.write_text("{damaged")
    service.trouble = []
    assert client.push(package)["state"] == "registered" and list(folder.iterdir()) == []


def test_storage_that_stops_answering_is_said(client: Client, service: Service, package: Path) -> None:
    service.trouble = [Trouble("PUT", "partNumber=1&?", 0, times=99)]
    with pytest.raises(NotConnected, match=r"storage stopped answering during the upload of weights\.data"):
        client.push(package)


def test_storage_that_fails_after_saying_200_is_asked_again(client: Client, service: Service, package: Path) -> None:
    late = b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"
    service.trouble = [Trouble("POST", "uploadId", 200, late), Trouble("POST", "uploadId", 0)]
    assert client.push(package)["state"] == "registered"
    service.trouble = [Trouble("POST", "uploadId", 200, late, times=99)]
    with pytest.raises(ApiError, match=r"did not assemble weights\.data: 200 try again"):
        client.push(package)
    service.trouble = []
    assert client.push(package)["state"] == "registered", "all parts are there"


def test_an_interrupt_leaves_what_has_arrived(service: Service, package: Path) -> None:
    service.trouble = [Trouble("PUT", "partNumber=2", 200, headers={"ETag": "x"}, delay=1)]
    env = os.environ | {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"]}
    command = [sys.executable, "-m", "amaas", "push", str(package)]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=interruptible
    )
    while not service.received("PUT", "weights.data"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, b"Traceback" in err) == (130, b"", False), err
    assert aborted(service) == []


def test_a_rejected_package_says_why(client: Client, package: Path) -> None:
    (package / "model.onnx").write_bytes(b"bad")
    with pytest.raises(Rejected, match="export it again") as rejected:
        client.push(package)
    assert (rejected.value.code, rejected.value.upload["state"]) == ("not_onnx", "rejected")
    upload = rejected.value.upload["upload_id"]
    assert client.get_upload(upload)["state"] == "rejected"
    assert client.list_uploads("fashion") == client.list_recent_uploads() == [rejected.value.upload]


def test_the_wait_for_a_verdict_has_an_end(client: Client, service: Service, package: Path) -> None:
    service.checks = False
    with pytest.raises(AmaasError, match=r"still 'checking' after 0\.3 s"):
        client.push(package, timeout=0.3)
    assert client.push(package, wait=False)["state"] == "checking"


def test_the_verbs_of_uploads(amaas: Run, service: Service, package: Path) -> None:
    assert amaas("upload", "ls", "fashion").stdout.startswith("no uploads yet")
    (package / "model.onnx").write_bytes(b"bad")
    amaas("push", str(package), code=3)
    listed = amaas("upload", "ls", "fashion").stdout
    assert "rejected" in listed and "export it again" in listed
    assert amaas("uploads", "fashion").stdout == listed, "the older name"
    [upload] = json.loads(amaas("upload", "ls", "fashion", "--json").stdout)
    assert json.loads(amaas("upload", "ls", "--json").stdout) == [upload], "of all models"
    assert "model" in amaas("uploads").stdout and "model" not in amaas("uploads", "fashion").stdout.split("\n")[0]
    assert "is rejected: this is not an ONNX model" in amaas("upload", "show", upload["upload_id"]).stdout
    assert "the package was rejected (not_onnx)" in amaas("upload", "wait", upload["upload_id"], code=3).stderr
    assert "there is no upload" in amaas("upload", "wait", "019bae2fd40-0123456789abcdef", code=1).stderr
    assert "4 objects removed" in amaas("upload", "rm", upload["upload_id"]).stdout
    assert "there is no upload" in amaas("upload", "show", upload["upload_id"], code=1).stderr


def test_an_upload_without_a_verdict_is_an_error_and_can_be_redriven(
    amaas: Run, service: Service, package: Path
) -> None:
    service.checks = False
    upload = json.loads(amaas("push", str(package), "--no-wait", "--json").stdout)["upload_id"]
    session = states.read_session(service.store, upload)
    states.advance(
        service.store, session, "failed", code="interrupted", reason="each attempt was interrupted: push again"
    )
    assert f"upload {upload} has failed: each attempt" in amaas("upload", "wait", upload, code=1).stderr
    assert "failed" in amaas("upload", "ls", "fashion").stdout
    assert "reopened" in amaas("redrive", upload).stdout
    assert json.loads(amaas("upload", "show", upload, "--json").stdout)["state"] == "waiting"
    assert "no queue" in amaas("redrive", code=1).stderr
    states.advance(service.store, session, "expired", code="files_missing", reason="model.onnx did not arrive")
    assert json.loads(amaas("redrive", upload, "--json").stdout)[0]["outcome"] == "ended"
