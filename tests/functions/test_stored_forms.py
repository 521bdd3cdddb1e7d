"""Everything that is stored states its format; what a later release wrote is refused in a sentence, and alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from functions.authorize import app as authorize
from functions.batch import app as batch
from functions.batchplan import app as batchplan
from functions.batchwork import app as batchwork
from functions.ingest import app as ingest
from functions.tokens import app as tokens
from functions.training import app as training
from functions.upload import app as upload
from shared.config import Config
from shared.jobs.batch import job as batch_jobs
from shared.jobs.batch import plan as batch_plans
from shared.jobs.batch import work as batch_work
from shared.jobs.training import job as training_jobs
from shared.jobs.training import runs, status
from shared.jobs.training.request import TrainingRequest
from shared.registry import catalog
from shared.registry.log import Log
from shared.serving.layer import Layer
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.functions.test_access import authorizer_event
from tests.registry import release
from tests.registry.conftest import push
from tests.support import call, linear, s3_event

APPS = ("authorize", "batch", "batchplan", "batchwork", "tokens", "training", "upload")
CONTENTS = release.contents()
TOKEN = CONTENTS["token"].split("_")[1]
UPLOAD = sorted(name for name in release.objects() if name.startswith("models/served/uploads/"))[0]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    bucket = release.bucket()
    log = release.log(bucket)
    for name in APPS:
        app = importlib.import_module(f"functions.{name}.app")
        for wired, value in (("store", bucket), ("log", log), ("config", Config(bucket="amaas")), ("queue", None)):
            if hasattr(app, wired):
                monkeypatch.setattr(app, wired, lambda value=value: value)
    return bucket


def later(store: MemoryStore, key: str, **members: Any) -> None:
    """Have a stored form be of a later release."""
    body = msgspec.json.decode(store.get(key).body) | {"format": 2, "more": {"x": 1}} | members
    store.put(key, msgspec.json.encode(body))


IDENTITY = UPLOAD.rpartition("/")[2].removesuffix(".json")
BATCH, TRAINING = f"batch/{CONTENTS['batch']}", f"training/{CONTENTS['training']}"


@pytest.mark.parametrize(
    ("key", "app", "path"),
    [
        (f"uploads/{IDENTITY}/ticket.json", upload, f"/uploads/{IDENTITY}"),
        (UPLOAD, upload, f"/uploads/{IDENTITY}"),
        (UPLOAD, upload, "/models/served/uploads"),
        (f"{BATCH}/job.json", batch, f"/{BATCH}"),
        (f"{BATCH}/planned.json", batch, f"/{BATCH}"),
        (f"{BATCH}/runs/000001.start.json", batch, f"/{BATCH}"),
        (f"{TRAINING}/job.json", training, f"/training-jobs/{CONTENTS['training']}"),
        (f"{TRAINING}/batch.json", training, f"/training-jobs/{CONTENTS['training']}"),
        (f"{TRAINING}/container.json", training, f"/training-jobs/{CONTENTS['training']}"),
        (f"{TRAINING}/cancel.json", training, f"/training-jobs/{CONTENTS['training']}"),
    ],
    ids=("ticket", "upload", "uploads", "batch", "planned", "run", "training", "of AWS Batch", "container", "cancel"),
)
def test_what_a_later_release_stored_is_refused_in_a_sentence(
    store: MemoryStore, key: str, app: Any, path: str
) -> None:
    assert call(app.handler, "GET", path).status == 200
    later(store, key, format=1)
    assert call(app.handler, "GET", path).status == 200  # unknown members are ignored
    later(store, key)
    refused = call(app.handler, "GET", path)
    assert refused.status == 503
    assert "was written by a later release, in format 2" in refused.json["error"]
    assert "deploy that release again" in refused.json["error"]
    store.put(key, b'{"format":1,"id":')
    damaged = call(app.handler, "GET", path)
    assert (damaged.status, "is damaged" in damaged.json["error"]) == (503, True)


def test_a_training_job_of_a_later_release_leaves_the_others_listed(store: MemoryStore) -> None:
    class Queue:
        def submit(self, job: str, deployment: str) -> str:
            return "number-2"

    other = runs.start(store, Queue(), TrainingRequest(model="n", data="datasets/digits"), "ann", "amaas")  # type: ignore[arg-type]
    assert len(call(training.handler, "GET", "/training-jobs").json["jobs"]) == 2
    for name in ("container", "job"):
        later(store, f"{TRAINING}/{name}.json")
        assert [job["id"] for job in call(training.handler, "GET", "/training-jobs").json["jobs"]] == [other.id]


def test_a_chunk_of_a_later_release_is_not_worked_on(store: MemoryStore) -> None:
    [chunk] = msgspec.json.decode(store.get(f"{BATCH}/plan.json").body)
    event = {"job": CONTENTS["batch"], "run": 1, "chunk": chunk}
    assert batchwork.handler(event, None)["state"] == "cancelled"
    with pytest.raises(Exception, match=r"a chunk of batch job .* was written by a later release"):
        batchwork.handler(event | {"chunk": chunk | {"format": 2}}, None)
    store.delete(f"{BATCH}/planned.json")
    store.put(f"{BATCH}/plan.json", msgspec.json.encode([chunk | {"format": 2}]))
    with pytest.raises(Exception, match=r"a chunk of batch job .* was written by a later release"):
        batchplan.handler({"job": CONTENTS["batch"], "run": 1, "step": "plan"}, None)


# ---- tokens fail closed


@pytest.mark.parametrize("body", [{"format": 2}, {"format": 2, "hash": 7}, {"hash": None}, b"{]", b"", b"\xff"])
def test_a_token_that_cannot_be_read_opens_nothing_and_can_be_seen(
    store: MemoryStore, body: dict[str, Any] | bytes
) -> None:
    event, key = authorizer_event(f"Bearer {CONTENTS['token']}"), f"access/tokens/{TOKEN}.json"
    assert authorize.handler(event, None)["context"]["scope_list"] == '["admin"]'
    if isinstance(body, bytes):
        store.put(key, body)
    else:
        later(store, key, **{"format": 1} | body)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize.handler(event, None)
    [listed] = call(tokens.handler, "GET", "/tokens").json["tokens"]
    assert (listed["id"], listed["revoked"], listed["problem"] is None) == (TOKEN, False, False)


def test_a_token_of_a_later_release_can_be_revoked_and_loses_nothing(store: MemoryStore) -> None:
    later(store, f"access/tokens/{TOKEN}.json")
    answer = call(tokens.handler, "DELETE", f"/tokens/{TOKEN}")
    assert (answer.status, answer.json["revoked"]) == (200, True)
    stored = msgspec.json.decode(store.get(f"access/tokens/{TOKEN}.json").body)
    assert (stored["format"], stored["more"], stored["revoked"]) == (2, {"x": 1}, True)


# ---- what is derived is made again


def test_a_catalog_of_a_later_release_is_made_again(store: MemoryStore) -> None:
    log = release.log(store)
    known = catalog.list_models(log)
    later(store, "catalogue/models.json", models=[["served", 1]])
    assert catalog.list_models(log) == known
    catalog.compact(log)
    assert msgspec.json.decode(store.get("catalogue/models.json").body)["format"] == 1


def test_a_model_of_the_layer_in_a_later_format_is_left_to_the_store(tmp_path: Any) -> None:
    index = {"m": {"model": "1" * 64}, "n": {"format": 1, "model": "2" * 64}, "o": {"format": 2, "model": [1]}}
    (tmp_path / "index.json").write_bytes(msgspec.json.encode(index))
    assert sorted(Layer(str(tmp_path)).models) == ["m", "n"]
    (tmp_path / "index.json").write_bytes(b'{"m": 1')
    assert Layer(str(tmp_path)).models == {}


# ---- what is written states its format


def written() -> Iterator[tuple[str, bytes]]:
    store = MemoryStore()
    log = Log(store)
    push(log, "m", 1)
    catalog.compact(log)
    states.open_session(store, "m", [forms.File("model.onnx")], "ann")
    job = batch_jobs.create(
        store, batch_jobs.Job(id="j1", model="m", version=1, by="ann", created_at="", prefix="batch/j1/in/")
    )
    store.put("batch/j1/in/rows.jsonl", b"1\n2\n")
    batch_plans.create(store, job)
    batch_jobs.begin_run(store, "j1", 1, "ann")
    batch_jobs.cancel_run(store, "j1", 1)
    batch_jobs.end_run(store, "j1", 1, missing=0)
    batch_work.record_error(store, "j1", 0, RuntimeError("x"))
    one = "019c4f2a3b0-1f0e9d8c7b6a5948"
    training_jobs.create(store, training_jobs.Job(id=one, model="m", data="d", by="ann", created_at=""))
    status.record_submission(store, one, "number", "2026-01-01T00:00:00Z")
    training_jobs.write_report(store, one, 1, "running")
    training_jobs.write_cancellation(store, one, "ann")
    tokens.tokens.create(store, "ci", ["infer"])
    yield from ((key, stored.body) for key, stored in store._objects.items())


def test_every_stored_form_states_its_format() -> None:
    forms = [(key, body) for key, body in written() if key.endswith(".json") and "/log/" not in key]
    forms = [(key, body) for key, body in forms if not key.endswith("/head.json")]  # the log's numbers, absent where 1
    assert len(forms) == 15
    for key, body in forms:
        stored = msgspec.json.decode(body)
        for one in stored if isinstance(stored, list) else [stored]:
            assert one["format"] == 1, key


# ---- amaas.json


def test_a_package_of_a_later_format_is_rejected_with_a_reason(store: MemoryStore, monkeypatch: Any) -> None:
    monkeypatch.setattr(ingest, "log", lambda: release.log(store))
    monkeypatch.setattr(ingest, "config", lambda: Config(bucket="amaas"))
    for number, expected in ((1, "registered"), (2, "rejected")):
        files = {"model.onnx": linear([[1.0]]), "amaas.json": msgspec.json.encode({"format": number})}
        session = states.open_session(store, "served", [forms.File(name) for name in files], "ann")
        for name, body in files.items():
            store.put(session.keys[name], body)
        ingest.handler(s3_event(session.keys["model.onnx"]), None)
        answer = call(upload.handler, "GET", f"/uploads/{session.upload_id}").json
        assert answer["state"] == expected, answer
        assert "format" not in answer
    assert (answer["code"], "amaas.json has format 2" in answer["reason"]) == ("bad_manifest", True)
    described = store.get(f"blobs/sha256/{release.log(store).read('served').versions[4].manifest}").body
    assert msgspec.json.decode(described)["format"] == 1
