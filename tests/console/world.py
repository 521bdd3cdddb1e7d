"""What the console is shown on: the functions' own handlers on an in-memory store that has lived a little.

`fashion` is the bundled model, twice; its canary was rolled back by the watcher's own function, on counts that say why.
"""

from __future__ import annotations

import base64
import gzip
import time
from pathlib import Path
from typing import Any

import msgspec

from functions.console import app as console
from shared import batch_keys, keys
from shared.clock import now
from shared.counts import forms
from shared.counts.counts import Counts, Row
from shared.counts.times import hour_of
from shared.entry.streamed import Streamed
from shared.feedback import stored
from shared.feedback.answers import Answer, encode
from shared.feedback.labels import Given
from shared.jobs.batch import job as batch_jobs
from shared.jobs.batch import plan
from shared.jobs.batch.work import process
from shared.jobs.training import job as training_jobs
from shared.package import manifest
from shared.registry import aliases, blobs, verdicts, versions
from shared.registry.log import Log
from shared.registry.releases import Evidence, Measured, ReleasePolicy
from shared.registry.state import Change, Policy, Target, Version
from shared.storage.memory import MemoryStore
from tests.client.gateway import Call, Service
from tests.client.texts import writing
from tests.jobs_batch import world as batch
from tests.support import load_event

LAYERS = Path(__file__).parents[2] / "layers" / "models"
ANN = Change(by="ann", name="ann")
RULES = ReleasePolicy()
BATCH, TRAINING = "019f1000000-00000000000000ba", "019f1000000-00000000000000fa"
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> [here](javascript:window.hacked=1)'


class ConsoleService(Service):
    """The service with the console below /v1/console, and the API's page, as the gateway has them: without a token."""

    def answer(self, call: Call) -> tuple[int, dict[str, str], bytes | Streamed]:
        if not call.path.startswith(("/console", "/docs")):
            return super().answer(call)
        event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": call.path, "headers": call.headers}
        event["queryStringParameters"] = None
        event["requestContext"] |= {"path": f"/v1{call.path}", "domainName": "127.0.0.1"}
        reply = console.handler(event, None)
        body = base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()
        return reply["statusCode"], reply["headers"], body

    @staticmethod
    def body(reply: dict[str, Any]) -> bytes:
        """What a browser makes of a handler's reply."""
        sent = base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()
        return gzip.decompress(sent) if reply["headers"].get("Content-Encoding") == "gzip" else sent


def register(log: Log, model: str, package: str, **changes: Any) -> int:
    """A version of a bundled model's package, with some members of its manifest changed."""
    folder = LAYERS / package
    declared = manifest.decode((folder / "amaas.json").read_bytes())
    written = {
        path.name: blobs.write(log.store, path.read_bytes())
        for path in folder.iterdir()
        if path.name not in ("amaas.json", "golden.npz")
    }
    body = (folder / "model.onnx").read_bytes()
    stored = manifest.encode(msgspec.structs.replace(declared, name=model, **changes))
    number = log.read(model).latest + 1
    version = Version(
        version=0,
        task=declared.task,
        manifest=blobs.write(log.store, stored),
        source=written["model.onnx"],
        model=written["model.onnx"],
        size=len(body),
        upload=f"upload-{model}-{number}",
        files=written,
    )
    return versions.register(log, model, version, ANN).version


def count(store: MemoryStore, number: int, key: tuple[str, int, str, int], ago: int, **counts: Any) -> None:
    """Counts of one minute, `ago` minutes before now, as object `number`. key: model, version, alias, since."""
    at = int(time.time() // 60) - ago
    model, version, alias, since = key
    row = Row(model=model, version=version, alias=alias, since=since, at=at, counts=Counts(**counts))
    store.put(keys.stats_raw(hour_of(at), 0, "0" * 16, number), forms.pack(forms.Raw(rows=[row])))


def reference() -> dict[str, Any]:
    """The bundled model's, with a calibration table, which `amaas train` writes."""
    declared = manifest.decode((LAYERS / "fashion-mnist" / "amaas.json").read_bytes()).reference
    assert declared is not None
    top = declared["scores"]["top"]["counts"]
    right = [round(count * min(1, 0.3 + number / 27)) for number, count in enumerate(top)]
    return {**declared, "scores": {**declared["scores"], "calibration": {"counts": top, "right": right}}}


def inputs(described: dict[str, Any], shift: int) -> dict[str, Any]:
    """What is counted of a fifth as many items as the reference has, brighter by `shift` bins."""
    features = {}
    for name, one in described["features"].items():
        moved = shift if name == "brightness" else 0
        last = len(one["counts"])
        features[name] = dict[int, int]()
        for number, items in enumerate(one["counts"], start=1):
            place = min(number + moved, last)
            features[name][place] = features[name].get(place, 0) + items // 5
    scores = {number: items // 5 for number, items in enumerate(described["scores"]["top"]["counts"])}
    return {"items": sum(scores.values()), "features": features, "scores": scores}


def build(service: Service) -> None:
    """Fill the service's store."""
    log = service.log
    described = reference()
    register(log, "fashion", "fashion-mnist", tags=["images", "demo"], reference=described)
    worse = {"metrics": {"test_accuracy": 0.871}, "card": "Worse on dark images."}
    register(log, "fashion", "fashion-mnist", reference=described, **worse)
    register(log, "wine", "wine", tags=["tables"])
    register(log, "languages", "languages", tags=["texts"])
    register(log, "digits", "spoken-digits", tags=["sounds"])
    writing(log)
    register(log, "hostile", "wine", card=HOSTILE, tags=["<b>bold</b>"], licence=HOSTILE)
    for number in range(40):
        register(log, f"sensor-{number:02d}", "wine", tags=["plant"])
    rolled_back(log, service.store, described)
    watched(log, service.store)
    aliases.move(log, "wine", "production", Target.of({1: 1}, None), ANN)
    label(service.store)
    predicted(service.store)
    trained(service.store)


def predicted(store: MemoryStore) -> None:
    """A batch job of 60 rows that is half done; a quarter of its rows are refused."""
    job = batch_jobs.Job(
        id=BATCH, model="wine", version=1, by="ann", created_at=now(-300), prefix=f"batch/{BATCH}/in/", chunk=30
    )
    rows = [b'"refused"' if number % 4 == 0 else b'{"row": %d}' % number for number in range(60)]
    store.put(batch_keys.batch_input(BATCH, "wines.jsonl"), b"\n".join(rows))
    batch_jobs.create(store, job)
    batch_jobs.begin_run(store, BATCH, 1, "ann")
    plan.create(store, job)
    process(store, job, 1, batch.chunks(store, job)[0], batch.MANIFEST, batch.echo, batch.for_ever)


def trained(store: MemoryStore) -> None:
    """A training job that failed in its third epoch."""
    arguments = {"epochs": 5, "lr": 0.5}
    training_jobs.create(
        store,
        training_jobs.Job(
            id=TRAINING, model="fashion", data="fashion-mnist", by="ann", created_at=now(-900), arguments=arguments
        ),
    )
    training_jobs.write_report(store, TRAINING, 1, "failed", "the loss became nan in epoch 3: give a smaller --lr")
    rows = [b'{"epoch": %d, "training_loss": %f, "validation_loss": %f}' % (n, 1 / n, 1.2 / n) for n in (1, 2)]
    store.put(keys.training_metrics(TRAINING), b"\n".join(rows))


def label(store: MemoryStore) -> None:
    """Labels of four answers of version 1, one of which was wrong."""
    minute = int(time.time() // 60) - 5
    ids = [encode(Answer(1, "production", 2, minute, bytes([number] * 6), [4], [19])) for number in range(4)]
    given = [Given(one, 0, 6 if number == 0 else 4, 1, "a") for number, one in enumerate(ids)]
    stored.keep(store, "fashion", given)


def rolled_back(log: Log, store: MemoryStore, described: dict[str, Any]) -> None:
    """A canary of production, and its end."""
    aliases.set_policy(log, "fashion", "production", Policy(protected=True), ANN, RULES)
    for split in ({1: 1}, {1: 90, 2: 10}):
        aliases.move(log, "fashion", "production", Target.of(split, None), ANN)
    since = log.read("fashion").aliases["production"].since
    stable, canary = ("fashion", 1, "production", since), ("fashion", 2, "production", since)
    for number in range(40):
        latency = {"total": {50 + number % 9: 45}, "run": {42: 45}}
        best = {label: 4 + (place + number) % 2 for place, label in enumerate(described["scores"]["labels"])}
        calls = {"requests": 45, "latency": latency, "labels": best, "billed_ms": 450}
        count(store, 2 * number, stable, 3 + number, **calls)
        few = {"total": {53 + number % 9: 5}, "run": {44: 5}}
        count(store, 2 * number + 1, canary, 3 + number, requests=5, server_errors=1, latency=few)
    count(store, 101, stable, 3, **inputs(described, 0))
    count(store, 102, canary, 3, **inputs(described, 5))
    judged = Evidence(
        verdict="worse",
        since=since,
        stable=1,
        canary=2,
        log_e_worse=9.4,
        carried=0.0,
        first="2026-11-28T10:00:00Z",
        last="2026-11-28T10:40:00Z",
        metrics={
            "server_errors": Measured(canary=200, canary_bad=40, stable=1800, stable_bad=2, log_e=9.4, loss_bound=None)
        },
        policy=RULES,
    )
    verdicts.roll_back(log, "fashion", "production", judged, "version 2 fails more often than version 1")


def watched(log: Log, store: MemoryStore) -> None:
    """A canary that has not had its time."""
    aliases.set_policy(log, "fashion", "candidate", None, ANN, RULES)
    aliases.move(log, "fashion", "candidate", Target.of({1: 75, 2: 25}, None), ANN)
    began = log.read("fashion").aliases["candidate"].since
    for number in range(20):
        for version, requests in ((1, 15), (2, 5)):
            key = ("fashion", version, "candidate", began)
            count(store, 200 + 2 * number + version, key, 3 + number, requests=requests)
