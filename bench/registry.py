"""Requests of the store per registry operation, and milliseconds: writes results/<kind>/registry-requests.md.

    python -m bench.registry [--quick] [--write]

Each operation is run through a store that counts, in a process that has read nothing yet (but for the warm ones), on a
small registry in memory and on an S3 server on this machine. It says where a count is another than in the large study
beside MLflow (results/*/registry.md), which counted the same operations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import page
from bench.machine import RESULTS, ROOT
from shared.package import manifest
from shared.registry import aliases, blobs, catalog, models, versions
from shared.registry.log import Log
from shared.registry.state import PRODUCTION, Change, Target, Version
from shared.serving.models import Models
from shared.storage.base import Store
from shared.storage.memory import MemoryStore
from tests import servers

KINDS = {"get": "GET", "download": "GET", "head": "HEAD", "put": "PUT", "list_page": "LIST", "delete": "DELETE"}
MODEL, BENCH = "model-00000", Change(by="bench")
BEHIND = 16  # transitions between two compactions, on average
STUDY = ROOT / "bench" / "results" / "x86_64-avx2-avx512-vnni" / "registry.json"
ORDER = ("GET", "PUT", "LIST", "DELETE", "HEAD")
Call = Callable[[], Any]


class CountingStore:
    """The store behind it, with a count of its requests by kind."""

    def __init__(self, store: Store) -> None:
        self.store, self.requests, self._lock = store, Counter[str](), threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        return self._counted(method, KINDS[name]) if name in KINDS else method

    def text(self) -> str:
        return " + ".join(f"{self.requests[kind]} {kind}" for kind in ORDER if self.requests[kind]) or "none"

    def _counted(self, method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self.requests[kind] += 1
            return method(*arguments, **options)

        return counted


class Registry:
    """Ten models of one version each, and a first one of two. store: counted; what only prepares goes past it."""

    def __init__(self, store: Store) -> None:
        self.store, self.behind = CountingStore(store), Log(store)
        self.manifest = blobs.write(store, manifest.encode(manifest.Manifest(licence="MIT", tags=["bench"])))
        for number in (*range(10), 0):
            versions.register(self.behind, f"model-{number:05d}", self.version(), BENCH)
        catalog.compact(self.behind)

    def version(self) -> Version:
        """As an upload that was opened now would make it."""
        upload = f"{int(time.time() * 1000):011x}-{time.perf_counter_ns():016x}"
        digests = {"manifest": self.manifest, "source": "1" * 64, "model": "2" * 64}
        return Version(version=0, task="tensor", size=1_000_000, upload=upload, **digests)

    def log(self) -> Log:
        """Of a process that has read nothing yet."""
        return Log(self.store)

    def resolve(self, ttl: float | None, reference: str | None = None) -> Call:
        """ttl: of a process that has resolved the alias before; None: of a new one."""
        loaded = Models(self.log(), ttl=ttl or 0, capacity=10**9)
        if ttl is not None:
            loaded.resolve(MODEL, reference)
        return lambda: loaded.resolve(MODEL, reference)

    def get(self) -> Call:
        def call() -> None:
            log = self.log()
            models.manifest(log, versions.resolve(log, models.get(log, MODEL), PRODUCTION))

        return call

    def move(self) -> Call:
        """To the newest version, or to the one before it where the alias is there already."""
        head = self.behind.read(MODEL)
        newest = head.latest - (head.aliases[PRODUCTION].version == head.latest)
        return lambda: aliases.move(self.log(), MODEL, PRODUCTION, Target(version=newest), BENCH)

    def rollback(self) -> Call:
        self.move()()
        return lambda: aliases.rollback(self.log(), MODEL, PRODUCTION, BENCH)

    def compact(self) -> Call:
        """As many transitions behind as there are between two compactions on average."""
        catalog.compact(self.behind)
        for number in range(BEHIND):
            versions.register(self.behind, f"model-{number % 10:05d}", self.version(), BENCH)
        return lambda: catalog.compact(self.log())

    def listing(self) -> Call:
        catalog.compact(self.behind)
        return lambda: catalog.page(self.log(), limit=100, permitted=lambda model: True)


OPERATIONS: dict[str, Callable[[Registry], Call]] = {
    "resolve an alias, cold": lambda registry: registry.resolve(None),
    "resolve an alias, warm, after the TTL": lambda registry: registry.resolve(0),
    "resolve an alias, warm, within the TTL": lambda registry: registry.resolve(1e9),
    "resolve number 2, cold": lambda registry: registry.resolve(None, "2"),
    "get a version by alias": Registry.get,
    "register a version": lambda registry: lambda: versions.register(registry.log(), MODEL, registry.version(), BENCH),
    "move an alias": Registry.move,
    "roll an alias back": Registry.rollback,
    "compact the catalogue": Registry.compact,
    "catalogue, 100 models": Registry.listing,
}


def measure(store: Store, repeats: int) -> dict[str, dict[str, Any]]:
    """By operation: requests of a call, and the median of its milliseconds. Raises RuntimeError if counts differ."""
    registry, figures = Registry(store), {}
    for title, prepare in OPERATIONS.items():
        counts, times = [], []
        for _ in range(repeats):
            call = prepare(registry)
            registry.store.requests.clear()
            started = time.perf_counter()
            call()
            times.append((time.perf_counter() - started) * 1e3)
            counts.append(registry.store.text())
        if len({*counts}) > 1:
            raise RuntimeError(f"{title}: the requests differ from call to call: {', '.join(sorted({*counts}))}")
        figures[title] = {"requests": counts[0], "ms": round(statistics.median(times), 3)}
    return figures


def markdown(result: dict[str, Any]) -> str:
    rows = [
        [title, figures["requests"], f"{figures['ms']:.2f}", f"{result['s3'][title]['ms']:.1f}"]
        for title, figures in result["memory"].items()
    ]
    about = page.measured(result, note=f"Medians of {result['repeats']} calls each.")
    columns = ["", "requests", "ms in memory", "ms on an S3 server (SeaweedFS, on this machine)"]
    return "\n\n".join(["# Requests of the store per registry operation", about, page.table(columns, rows)]) + "\n"


def differences(result: dict[str, Any]) -> list[str]:
    """Where the requests are others on the S3 server than in memory, or than the study counted with ten models."""
    study = json.loads(STUDY.read_text())["requests"]["worlds"]["10 models"]
    lines = []
    for title, figures in result["memory"].items():
        for where, other in (("on S3", result["s3"][title]["requests"]), ("in the study", study[title]["text"])):
            if other != figures["requests"]:
                lines.append(f"{title}: {figures['requests']}; {where} {other}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    parser.add_argument("--write", action="store_true", help="write the page of this kind of processor")
    options = parser.parse_args()
    repeats = 3 if options.quick else 50
    with tempfile.TemporaryDirectory() as folder, servers.seaweedfs(Path(folder)) as endpoint:
        servers.credentials(endpoint)
        result = page.stamp(options.quick) | {"repeats": repeats, "memory": measure(MemoryStore(), repeats)}
        result["s3"] = measure(servers.bucket(endpoint, versions=False), repeats)
    print(markdown(result))
    print("\n".join(differences(result)) or "The requests are those of the study.")
    if options.write:
        page.write(RESULTS, "registry-requests", result, markdown(result))


if __name__ == "__main__":
    main()
