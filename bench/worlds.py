"""Registries of a given size, made in memory: many models, or one model with a long history."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from bench.gateway import MANIFEST, MANIFEST_DIGEST
from bench.http_client import Connection
from shared import keys
from shared.package import manifest
from shared.registry import aliases, blobs, catalogue, fold, seal, versions
from shared.registry.log import SNAPSHOT, Log, digest
from shared.registry.state import PRODUCTION, Act, Head, Record, Target, Version
from shared.storage.base import Store, list_all
from shared.storage.memory import MemoryStore

BENCH = Act(by="bench")
RARE = "rare"
HOUR = 3600.0


@dataclass(frozen=True)
class World:
    """model: the one to ask about. It is the same small one in every world of many models."""

    title: str
    store: Store
    model: str


def version(age: float = 0.0, number: int = 0) -> Version:
    """A version as an upload of some seconds ago makes it."""
    upload = f"{int((time.time() - age) * 1000):011x}-{time.perf_counter_ns():016x}"
    return Version(
        version=number,
        task="tensor",
        manifest=MANIFEST_DIGEST,
        source="1" * 64,
        model="2" * 64,
        size=1_000_000,
        upload=upload,
    )


def many_models(count: int) -> World:
    """Models of one version each; one in a hundred has a tag; the one to ask about has two versions."""
    store = MemoryStore()
    log = Log(store)
    blobs.write(store, MANIFEST)
    tagged = manifest.encode(msgspec.structs.replace(manifest.decode(MANIFEST), tags=[RARE]))
    rare = msgspec.structs.replace(version(), manifest=blobs.write(store, tagged))
    for number in range(count):
        versions.register(log, f"model-{number:05d}", rare if number % 100 == 5 else version(), BENCH)
    versions.register(log, "model-00000", version(), BENCH)
    catalogue.compact(log)
    return World(f"{count:,} models", store, "model-00000")


def many_moves(count: int) -> World:
    """A model of two versions whose alias was moved to and fro."""
    world = many_models(10)
    log = Log(world.store)
    for number in range(count):
        aliases.move(log, world.model, PRODUCTION, Target(version=2 - number % 2), BENCH)
    catalogue.compact(log)
    return World(f"{count:,} alias moves", world.store, world.model)


def many_versions(count: int) -> World:
    """A model with many versions, one an hour until now.

    The log is written here as shared/registry/log.py writes it, without a head after every record; whoever doubts it
    reads the outcome of the verification.
    """
    world = many_models(10)
    store, head, body = world.store, Head(model="long"), b""
    for number in range(1, count + 1):
        age = (count - number) * HOUR
        first = {PRODUCTION: 1} if number == 1 else {}
        record = Record(
            kind="register",
            by="bench",
            version=version(age, number),
            aliases={**first},
            revision=number,
            previous=head.digest,
            write_id=f"{number:032x}",
            at=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - age)),
        )
        body = msgspec.json.encode(record)
        after = fold.fold(head, record, digest(body))
        for segment in after.sealed[len(head.sealed) :]:
            blobs.write(store, fold.segment_body(head, segment.first, segment.last))
        store.put(keys.log_record("long", number), body)
        head = after
        if number % SNAPSHOT == 0:
            store.put(keys.snapshot("long", number), seal.encode_head(head, body))
    store.put(keys.head("long"), seal.encode_head(head, body))
    store.put(keys.changed("long", count), b"")
    catalogue.compact(Log(store))
    return World(f"{count:,} versions", store, "long")


def copy(store: Store, bucket: str, port: int, threads: int = 4) -> None:
    """Put every object into a bucket of an S3 server that lets anybody in."""
    names = [info.key for info in list_all(store, "")]

    def send(part: list[str]) -> None:
        connection = Connection(port)
        for name in part:
            status, answer = connection.ask("PUT", f"/{bucket}/{name}", store.get(name).body)
            if status != 200:
                raise RuntimeError(f"{name}: {status} {answer[:200]!r}")
        connection.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, [names[start::threads] for start in range(threads)]))
