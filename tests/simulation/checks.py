"""What must hold of a run: nothing wrong ever happened (safety), and everything came to its end (liveness)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import datetime

from shared import keys
from shared.registry import blobs, catalog, models, verify
from shared.registry.log import Log
from shared.uploads import attempts, forms, states, unfinished
from tests.simulation import effects
from tests.simulation.actors import MODELS
from tests.simulation.cloud import DAY
from tests.simulation.rules import UPLOAD_STATE, require
from tests.simulation.world import World

CLOCKS = 1200.0  # seconds by which times of several processes differ here
HOUR = 3600.0
# in calm weather, of an upload that arrived: its event's patience, a look, the last attempt, and two looks more
ENDS_WITHIN = unfinished.PATIENCE + unfinished.LAST_ATTEMPT + 4 * HOUR
EXPIRES_WITHIN = unfinished.FILES_WAITED_FOR + 2 * HOUR


def check(world: World) -> None:
    """Raises Broken. The weather has been calm for long enough."""
    log = Log(world.cloud.objects)
    require(world.cloud.outstanding == 0, "every invocation ends", world.cloud.outstanding)
    _logs(log)
    _uploads(world, log)
    _carried_out_once(log)
    effects.check(world.notebook, log)
    _catalog(log)
    _batches(world)
    _inbox(world, log)
    _blobs(log)
    _garbage(world, log)


def _logs(log: Log) -> None:
    for model in MODELS:
        head = log.read(model)
        newest = max((int(key[-17:-5]) for key in log.store._objects if key.startswith(keys.log(model))), default=0)
        require(head.revision == newest, "the state is that of the newest record", model, head.revision, newest)
        if not head.revision:
            continue
        report = verify.verify(log, model)
        require(not report.problems, "a log verifies", model, report.problems)
        uploads = Counter(log.version(head, number).upload for number in range(head.first, head.latest + 1))
        require(all(n == 1 for n in uploads.values()), "an upload becomes one version", model, uploads.most_common(1))
        _deleted(log, model, head.revision)
        if not head.alive:
            continue
        for name, alias in head.aliases.items():
            for number in (alias.version, *(alias.target.split or {})):
                require(head.first <= number <= head.latest, "an alias points to a version", model, name, number)


def _deleted(log: Log, model: str, revision: int) -> None:
    """While a deletion can be undone, nothing is registered."""
    deleted: float | None = None
    for record in reversed(log.records(model, revision, 1)):
        at = datetime.fromisoformat(record.at).timestamp()
        if record.kind == "register":
            free = deleted is None or at - deleted > blobs.GRACE - models.MARGIN - CLOCKS
            require(free, "nothing is pushed into a deleted model", model, record.revision)
        deleted = at if record.kind == "delete" else None if record.kind in ("undelete", "register") else deleted


def _uploads(world: World, log: Log) -> None:
    for package in world.notebook.packages:
        key = keys.upload_state(package.model, package.upload)
        state = states.decode(world.cloud.objects.get(key).body, package.model, package.upload)
        if not package.arrived_at:
            require(state.state == "expired", "what never arrived expires", key, state.state)
            _in_time(world, key, package.opened_at, EXPIRES_WITHIN)
            continue
        require(state.state in forms.FINAL, "an upload that arrived comes to an end", key, state.state, state.reason)
        _in_time(world, key, package.arrived_at, ENDS_WITHIN)
        allowed = {package.expected}
        if state.code == "deleted":  # it came while its model was deleted
            allowed.add("rejected")
        began_in_calm = package.opened_at > world.calm_from
        if state.attempts >= attempts.MAX_ATTEMPTS and world.foul.interrupts and not began_in_calm:
            allowed.add("failed")
        require(state.state in allowed, "an upload ends as its content says", key, state.state, state.code, allowed)
        if state.state == "registered":
            _registered(log, package.model, package.upload, package.files["model.onnx"], state.version)


def _in_time(world: World, key: str, since: float, limit: float) -> None:
    """What had to wait for calm weather has its time from then on."""
    late = world.watch.ended_at[key] - max(since, world.calm_from) - limit
    require(late <= 0, "an upload ends in time", key, f"{late / HOUR:.1f} h late", world.watch.ended[key])


def _registered(log: Log, model: str, upload: str, body: bytes, number: int | None) -> None:
    head = log.read(model)
    if number is None or not head.first <= number <= head.latest:
        require(number is not None and (number < head.first or not head.alive), "a version is there", model, number)
        return
    version = log.version(head, number)
    require(version.upload == upload, "a state names its own version", model, number, upload)
    require(version.source == hashlib.sha256(body).hexdigest(), "a version is of its upload's bytes", model, number)


def _carried_out_once(log: Log) -> None:
    applied = Counter(
        record.request_id
        for model in MODELS
        if (revision := log.read(model).revision)
        for record in log.records(model, revision, 1)
        if record.request_id
    )
    for request, count in applied.items():
        require(count == 1, "a call with a key is carried out once", request, count)


def _catalog(log: Log) -> None:
    listed = catalog.list_models(log)
    for model in MODELS:
        head = log.read(model)
        require((model in listed) == head.alive, "the catalog lists the models that there are", model)
        if head.alive:
            require(listed[model].revision == head.revision, "the catalog has the present state", model)


def _blobs(log: Log) -> None:
    for model in MODELS:
        head = log.read(model)
        for number in range(head.first, head.latest + 1) if head.alive else ():
            version = log.version(head, number)
            named = (version.source, version.model, version.manifest, *version.files.values())
            for digest in named:
                require(blobs.exists(log.store, digest), "what a version names is there", model, number, digest)


def _batches(world: World) -> None:
    """Each job is done; each line of its input has its own answer, once."""
    for job in world.notebook.batches:
        require(job.state == "done", "a batch job is done, or started again", job.id, job.state)
        outputs = sorted(key for key in world.cloud.objects._objects if key.startswith(f"batch/{job.id}/out/"))
        lines = [json.loads(line) for key in outputs for line in world.cloud.objects.get(key).body.splitlines()]
        require([line["id"] for line in lines] == [*range(len(job.rows))], "each line is answered once", job.id)
        for line, row in zip(lines, job.rows, strict=True):
            answered = line.get("prediction", {}).get("label") == row if row == "good" else "error" in line
            require(answered, "a line has its own answer", job.id, row, line)


def _inbox(world: World, log: Log) -> None:
    """Each object that was put into the inbox became one version, whatever became of its events."""
    sources = Counter(
        record.version.source
        for model in MODELS
        if (revision := log.read(model).revision)
        for record in log.records(model, revision, 1)
        if record.version is not None
    )
    uploads = {
        state.inbox_key: (name, state)
        for name, stored in world.cloud.objects._objects.items()
        if UPLOAD_STATE.fullmatch(name) and (state := forms.UPLOAD.decode(stored.body)).inbox_key
    }
    for key, body in world.notebook.dropped.items():
        count = sources[hashlib.sha256(body).hexdigest()]
        require(key in uploads, "an object in the inbox becomes an upload", key)
        name, state = uploads[key]
        gave_up = state.attempts >= attempts.MAX_ATTEMPTS and world.foul.interrupts
        refused = state.code == "deleted" or (state.state == "failed" and gave_up)
        require(count == 1 or (count == 0 and refused), "an object in the inbox becomes one version", key, count)
        _in_time(world, name, world.notebook.dropped_at[key], ENDS_WITHIN)


def _garbage(world: World, log: Log) -> None:
    """What nothing names is gone some days after the grace period."""
    named: set[str] = set()
    for model in MODELS:
        head = log.read(model)
        named |= {segment.digest for segment in head.archived}
        for number in range(head.first, head.latest + 1):
            version = log.version(head, number)
            named |= {version.source, version.model, version.manifest, version.package or "", *version.files.values()}
    for key, stored in world.cloud.objects._objects.items():
        old = world.engine.now - stored.modified > blobs.GRACE + 2 * DAY
        if key.startswith(keys.BLOBS) and old:
            require(key.removeprefix(keys.BLOBS) in named, "what nothing names is collected", key)
