"""On a kind of processor that no gate has vouched for, a version shows that it answers rightly, or is not served."""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec
import numpy as np
import pytest

from shared.config import Config
from shared.errors import Unavailable
from shared.ingest import pipeline, recheck
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.registry import aliases, blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Target, Version
from shared.runtime import processor, samples
from shared.serving import forms
from shared.serving.models import Models
from shared.serving.sources import Sources
from shared.storage.memory import MemoryStore
from shared.uploads import states
from shared.uploads.forms import File
from tests.cloud.template import TEMPLATE
from tests.ingest.quantized import FORMS
from tests.support import linear

ELSEWHERE = "x86_64-elsewhere"
FORM = FORMS["matmul_integer"]()
SOURCE = FORM.model.SerializeToString()
CONFIG = Config.from_env({"BUCKET": "test"})


@pytest.fixture
def log() -> Log:
    return Log(MemoryStore())


def push(log: Log, model: str, body: bytes) -> Version:
    ticket = states.open_session(log.store, model, [File("model.onnx")], "ann")
    log.store.put(ticket.keys["model.onnx"], body)
    upload = pipeline.ingest(log, CONFIG, ticket, Limits())
    assert upload.version, upload.reason
    return log.version(log.read(model), upload.version)


def older(log: Log, model: str, version: Version, **gate: Any) -> Version:
    """The version as a gate registered it that did not look at processors: the source is served as it came."""
    described = manifest.decode(blobs.read(log.store, version.manifest))
    before = {
        name: value for name, value in (described.gate or {}).items() if name not in ("edition", "runtime", "reference")
    }
    digest = blobs.write(log.store, manifest.encode(msgspec.structs.replace(described, gate=before | gate)))
    files = {name: d for name, d in version.files.items() if name != samples.FILE}
    replaced = msgspec.structs.replace(version, manifest=digest, model=version.source, files=files)
    return versions.recheck(log, model, replaced, Change(by="test"))


def served(log: Log) -> Models:
    return Models(log, ttl=0, capacity=1 << 30)


def elsewhere(monkeypatch: pytest.MonkeyPatch, *, cuts_off: bool = False) -> None:
    monkeypatch.setattr(processor, "kind", lambda: ELSEWHERE)
    monkeypatch.setattr(processor, "cuts_off_sums", lambda: cuts_off)


def lines(capsys: pytest.CaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_gates_own_kind_needs_no_replay(
    log: Log, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    push(log, "m", SOURCE)
    assert served(log).load("m", None).version.version == 1
    assert lines(capsys) == []
    assert "vouched" not in caplog.messages


def test_elsewhere_samples_are_replayed(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here = processor.kind()
    version = push(log, "m", SOURCE)
    assert samples.FILE in version.files
    elsewhere(monkeypatch)
    answer = served(log).load("m", None).session.run(None, FORM.feeds)[0]
    np.testing.assert_array_equal(answer, FORM.expected)
    [line] = [vars(record) for record in caplog.records if record.message == "vouched"]
    assert (line["model"], line["gate"], line["processor"]) == ("m", here, ELSEWHERE)


def test_what_answers_differently_is_not_served(
    log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    right = push(log, "m", linear([[1.0, 2.0]]))
    other = push(log, "other", linear([[1.0, 2.5]]))
    swapped = right.files | {samples.FILE: other.files[samples.FILE]}
    versions.recheck(log, "m", msgspec.structs.replace(right, files=swapped), Change(by="test"))
    elsewhere(monkeypatch)
    models = served(log)
    for _ in range(2):  # the second time without loading it
        with pytest.raises(Unavailable, match=rf"not served on this processor .{ELSEWHERE}.*Roll back"):
            models.load("m", None)
    alarm = TEMPLATE["Resources"]["ProcessorMismatchAlarm"]["Properties"]
    by = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    overall, by_model = lines(capsys)
    assert overall[alarm["MetricName"]] == by_model[alarm["MetricName"]] == 1
    [directive] = overall["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == (alarm["Namespace"], [list(by)])
    assert overall.items() >= by.items()
    assert by_model["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[*by, "model"]] and by_model["model"] == "m"
    [error] = [vars(record) for record in caplog.records if record.levelname == "ERROR"]
    assert (error["model"], error["version"], error["processor"]) == ("m", 1, ELSEWHERE)
    assert models.load("other", None).version.version == 1  # others go on


def test_an_older_gates_version_waits_where_sums_are_cut_off(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    older(log, "m", push(log, "m", SOURCE))
    older(log, "plain", push(log, "plain", linear([[1.0]])))
    elsewhere(monkeypatch)
    assert served(log).load("m", None)
    elsewhere(monkeypatch, cuts_off=True)
    with pytest.raises(Unavailable, match="checked before processors were compared"):
        served(log).load("m", None)
    assert served(log).load("plain", None)  # nothing in it is quantized


def test_it_is_checked_again_and_nobody_pushes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    before = older(log, "m", push(log, "m", SOURCE))
    aliases.move(log, "m", "stage", Target.of({before.version: 1}), Change(by="ann"))
    assert [(one.model, one.version, one.refused) for one in recheck.check_outdated(log, Limits(), 60)] == [
        ("m", 1, None)
    ]
    head = log.read("m")
    after = log.version(head, 1)
    assert (after.source, after.upload, after.created_at) == (before.source, before.upload, before.created_at)
    assert after.model != before.model  # the form that no processor cuts off
    assert {name: alias.version for name, alias in head.aliases.items()} == {"production": 1, "stage": 1}
    elsewhere(monkeypatch, cuts_off=True)
    np.testing.assert_array_equal(served(log).load("m", None).session.run(None, FORM.feeds)[0], FORM.expected)
    assert recheck.check_outdated(log, Limits(), 60) == []


def test_what_would_be_refused_today_is_not_served_any_more(log: Log) -> None:
    version = older(log, "m", push(log, "m", SOURCE))
    hostile = blobs.write(log.store, b"no model at all")
    versions.recheck(log, "m", msgspec.structs.replace(version, source=hostile), Change(by="test"))
    [outcome] = recheck.check_outdated(log, Limits(), 60)
    assert outcome.refused and "not an ONNX model" in outcome.refused
    with pytest.raises(Unavailable, match=r"was checked again and is not served: .*not an ONNX model"):
        served(log).load("m", None)
    assert recheck.check_outdated(log, Limits(), 60) == []


def sums(monkeypatch: pytest.MonkeyPatch, *, widely: bool) -> None:
    monkeypatch.setattr(processor, "sums_widely", lambda: widely)


def test_the_form_with_signed_weights_serves_where_sums_are_wide(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    version = push(log, "m", SOURCE)
    loads = []
    opened = Sources.open
    monkeypatch.setattr(
        Sources, "open", lambda self, digest, *rest, **more: loads.append(digest) or opened(self, digest, *rest, **more)
    )
    elsewhere(monkeypatch)
    for widely, digest in ((False, version.model), (True, version.files[forms.WIDE])):
        sums(monkeypatch, widely=widely)
        # on the machine of this test signed weights may be cut off: then the samples tell, and the other form serves
        answer = served(log).load("m", None).session.run(None, FORM.feeds)[0]
        np.testing.assert_array_equal(answer, FORM.expected)
        assert loads[0] == digest
        loads.clear()


def test_a_second_form_that_answers_differently_gives_way(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    version = push(log, "m", SOURCE)
    wrong = FORMS["matmul_integer_of_seven_bits"]().model.SerializeToString()
    swapped = version.files | {forms.WIDE: blobs.write(log.store, wrong)}
    versions.recheck(log, "m", msgspec.structs.replace(version, files=swapped), Change(by="test"))
    elsewhere(monkeypatch)
    sums(monkeypatch, widely=True)
    np.testing.assert_array_equal(served(log).load("m", None).session.run(None, FORM.feeds)[0], FORM.expected)
