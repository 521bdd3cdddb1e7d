"""Storage events come at least once, late, in any order and at the same time: each upload becomes one version.

Events are S3's own, and go through the function's handler. What must come of a schedule is worked out from the schedule
alone, in ten lines; what Lambda does with an error is done here, too: the event is delivered again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.ingest import app as ingest
from shared.config import Config
from shared.errors import Unavailable
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry import blobs, verify
from shared.registry.log import Log, digest
from shared.storage.base import Store
from shared.storage.memory import MemoryStore
from shared.uploads import attempts, forms, listing, states
from tests.failing import FailingStore, randomly
from tests.proofs.stores import age
from tests.support import linear, s3_event

pytestmark = pytest.mark.usefixtures("verdicts_once")

CONFIG = Config(bucket="unused")
# upload, or key in the inbox -> model and files, each with its bytes
UPLOADS = {
    "0190a0b0c01-0000000000000001": ("a", {"model.onnx": linear([[1.0], [0.0]])}),
    "0190a0b0c02-0000000000000002": ("a", {"model.onnx": linear([[2.0], [0.0]]), "amaas.json": b'{"tags": ["x"]}'}),
    "0190a0b0c03-0000000000000003": ("a", {"model.onnx": linear([[1.0], [0.0]])}),  # the same bytes, on purpose
    "0190a0b0c04-0000000000000004": ("b", {"model.onnx": linear([[3.0], [0.0]])}),
    "0190a0b0c05-0000000000000005": ("b", {"model.onnx": b"this is no model"}),
    "inbox/c/one.onnx": ("c", {"inbox/c/one.onnx": linear([[4.0], [0.0]])}),
    "inbox/c/two.onnx": ("c", {"inbox/c/two.onnx": linear([[5.0], [0.0]])}),
}
BAD = "0190a0b0c05-0000000000000005"
OBJECTS = {
    name if upload.startswith("inbox/") else f"uploads/{upload}/files/{name}": (upload, body)
    for upload, (_, files) in UPLOADS.items()
    for name, body in files.items()
}


def announced() -> MemoryStore:
    store = MemoryStore()
    for upload, (model, files) in UPLOADS.items():
        if not upload.startswith("inbox/"):
            places = {name: f"uploads/{upload}/files/{name}" for name in files}
            listed = [forms.File(name) for name in files]
            at = "2024-07-11T00:00:00.000Z"
            states.write_session(
                store,
                forms.UploadSession(upload_id=upload, model=model, by="ann", created_at=at, files=listed, keys=places),
            )
    return store


def deliver(store: Store, key: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingest, "log", lambda: Log(store))
        patched.setattr(ingest, "config", lambda: CONFIG)
        ingest.handler(s3_event(key), None)


def carried_out(store: MemoryStore, schedule: list[str]) -> dict[str, list[str]]:
    """The first time a key comes up it is written, then its event is delivered. Returns the uploads by number."""
    expected: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    there: set[str] = set()
    for key in schedule:
        upload, body = OBJECTS[key]
        if key not in there:
            store.put(key, body)
            there.add(key)
            continue
        deliver(store, key)
        complete = all(name in there for name, (of, _) in OBJECTS.items() if of == upload)
        model = UPLOADS[upload][0]
        if complete and upload != BAD and upload not in expected[model]:
            expected[model].append(upload)
    return expected


def as_expected(store: Store, expected: dict[str, list[str]]) -> None:
    log = Log(store)
    for model, wanted in expected.items():
        head = log.read(model)
        assert (head.latest, head.revision, sorted(head.versions)) == (
            len(wanted),
            len(wanted),
            [*range(1, len(wanted) + 1)],
        )
        assert verify.verify(log, model).problems == []
        assert head.aliases["production"].version == 1
        for number, upload in enumerate(wanted, start=1):
            version, files = head.versions[number], UPLOADS[upload][1]
            assert version.source == digest(files.get("model.onnx") or files[upload])
            assert upload in (version.upload, *files)
            for named in (version.source, version.model, version.manifest):
                blobs.read(store, named)
        ended = {one.upload_id: one for one in listing.of_model(store, model)[0]}
        assert {one.version: one.upload_id for one in ended.values() if one.state == "registered"} == {
            number: version.upload for number, version in head.versions.items()
        }
        assert {one.upload_id for one in ended.values() if one.state != "registered"} == (
            {BAD} if model == "b" else set()
        )
        assert {one.state for one in ended.values()} <= {"registered", "rejected"}


IN_ORDER = [key for key in OBJECTS for _ in range(2)]
COPIES = st.lists(st.integers(1, 3), min_size=len(OBJECTS), max_size=len(OBJECTS))
SCHEDULES = COPIES.flatmap(
    lambda copies: st.permutations([key for key, n in zip(OBJECTS, copies, strict=True) for _ in range(1 + n)])
)


@pytest.mark.parametrize("examples", [60, pytest.param(3000, marks=pytest.mark.soak)])
def test_duplicated_and_reordered_events(examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(schedule=SCHEDULES, replayed=st.permutations(list(OBJECTS)))
    def proof(schedule: list[str], replayed: list[str]) -> None:
        store = announced()
        as_expected(store, carried_out(store, schedule))
        before = dict(store._objects)
        for key in replayed:
            deliver(store, key)
        assert store._objects == before, "a replayed event wrote something"

    proof()


def test_events_once_and_in_order_give_the_same_as_any_repetition_of_them() -> None:
    once, often = announced(), announced()
    expected = carried_out(once, IN_ORDER)
    assert {model: len(found) for model, found in expected.items()} == {"a": 3, "b": 1, "c": 2}
    rng, seen = random.Random(5), list[str]()
    schedule: list[str] = []
    for key in IN_ORDER:  # in order, and between any two some of those before once more
        schedule += [key, *rng.choices(seen, k=2 if seen else 0)]
        seen += [key] if key in schedule[:-1] else []
    assert carried_out(often, schedule) == expected
    as_expected(once, expected)
    as_expected(often, expected)


@pytest.mark.parametrize("seed", range(3))
def test_copies_of_all_events_at_the_same_time_on_a_store_that_loses_replies(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # most checks are interrupted here; what comes after the last attempt is proved in test_everything_ends.py
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 10**6)
    store = announced()
    for key, (_, body) in OBJECTS.items():
        store.put(key, body)
    for upload in UPLOADS:  # the verdicts are made before, by one thread
        deliver(announced_with(upload), next(key for key, (of, _) in OBJECTS.items() if of == upload))
    failing = FailingStore(store, randomly(seed, before=0.05, after=0.05))
    troubles: list[BaseException] = []

    def work(worker: int) -> None:
        events = list(OBJECTS)
        random.Random(seed * 10 + worker).shuffle(events)
        try:
            for key in events:
                again(lambda key=key: pipeline.on_object(Log(failing), CONFIG, key, {}, Limits()))
        except BaseException as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    log = Log(store)
    found = {model: [v.upload for _, v in sorted(log.read(model).versions.items())] for model in ("a", "b")}
    inbox = {v.source: n for n, v in log.read("c").versions.items()}
    found["c"] = sorted(
        (name for name in UPLOADS if name.startswith("inbox/")), key=lambda name: inbox[digest(UPLOADS[name][1][name])]
    )
    assert {model: len(names) for model, names in found.items()} == {"a": 3, "b": 1, "c": 2}
    as_expected(store, found)


def announced_with(upload: str) -> MemoryStore:
    store = announced()
    for key, (of, body) in OBJECTS.items():
        if of == upload:
            store.put(key, body)
    return store


def again(run: Callable[[], object]) -> None:
    for _ in range(200):  # Lambda gives up after three, and the looks go on
        try:
            run()
            return
        except Unavailable:
            continue
    raise AssertionError("no delivery got through")


def test_events_that_never_come_are_made_up_for_by_the_looks() -> None:
    store = announced()
    for key, (_, body) in OBJECTS.items():
        store.put(key, body)
    age(store, "", 3600)
    for _ in range(2):
        pipeline.check_unfinished(Log(store), CONFIG, Limits())
    log = Log(store)
    assert {model: log.read(model).latest for model in ("a", "b", "c")} == {"a": 3, "b": 1, "c": 2}
    found = {model: [v.upload for _, v in sorted(log.read(model).versions.items())] for model in ("a", "b")}
    as_expected(store, found)
    before = {name: stored.etag for name, stored in store._objects.items()}
    for key in OBJECTS:  # and come after all
        deliver(store, key)
    assert {name: stored.etag for name, stored in store._objects.items()} == before


def test_negative_control_without_end_states_and_upload_ids_events_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.uploads.forms.FINAL", ())
    monkeypatch.setattr("shared.registry.versions.of_upload", lambda log, head, upload: head.versions.get(head.latest))
    store = announced()
    with pytest.raises(AssertionError):
        as_expected(store, carried_out(store, [*IN_ORDER, *OBJECTS]))
