"""An inference function on Lambda's interfaces: what it counted is in the bucket after a call, and after SIGTERM."""

from __future__ import annotations

import http.server
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from shared import keys
from shared.counts import forms
from shared.counts.counts import Counts
from shared.storage.base import Store
from shared.storage.s3 import S3Store
from tests import servers
from tests.functions.test_cold_start import event
from tests.serving.test_models import publish
from tests.support import linear

FUNCTION = """
import json, sys
import functions.inference.app as app
for line in sys.stdin:
    reply = app.handler(json.loads(line), None)
    print(json.dumps([reply["statusCode"], reply["headers"]]), file=sys.stderr, flush=True)
"""


@pytest.fixture
def extensions() -> Iterator[tuple[str, queue.Queue]]:
    """Lambda's Extensions API: its address, and the queue of the events that it hands out."""
    events: queue.Queue = queue.Queue()

    class Api(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer({})

        def do_GET(self) -> None:
            events.get()
            self._answer({"eventType": "INVOKE", "deadlineMs": (time.time() + 30) * 1000})

        def _answer(self, body: dict) -> None:
            self.send_response(200)
            self.send_header("Lambda-Extension-Identifier", "x")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", events
    server.shutdown()


def counted(store: Store) -> list[Counts]:
    """Of each raw object, oldest first."""
    infos = store.list_page(keys.STATS_RAW).objects
    raws = [forms.unpack(forms.RAW, store.get(info.key).body, info.key) for info in infos]
    assert all((row.model, row.version, row.alias) == ("m", 1, "production") for raw in raws for row in raw.rows)
    return [row.counts for raw in raws for row in raw.rows]


PHASES = ["resolve", "load", "pre", "run", "post"]


class Asked:
    """A function's process that answers calls."""

    def __init__(self, process: subprocess.Popen, events: queue.Queue) -> None:
        self.process, self._events = process, events

    def ask(self) -> dict[str, str]:
        """One call: the headers of its answer."""
        assert self.process.stdin is not None and self.process.stderr is not None
        self._events.put(None)
        self.process.stdin.write(event())
        self.process.stdin.flush()
        status, headers = json.loads(self.process.stderr.readline())
        assert status == 200
        return headers


@pytest.fixture
def deployed(seaweedfs_endpoint: str, extensions: tuple[str, queue.Queue]) -> Iterator[tuple[S3Store, Asked]]:
    store = servers.bucket(seaweedfs_endpoint)
    publish(store, "m", linear([[1.0], [0.0]]), "upload-1")
    address, events = extensions
    env = {
        "PATH": os.defpath,
        "PYTHONPATH": str(servers.ROOT),
        "BUCKET": store.bucket,
        "AWS_ENDPOINT_URL": seaweedfs_endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "inference",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "MODELS_DIR": "/nowhere",
    }
    command = [sys.executable, "-c", FUNCTION]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=env, text=True, **pipes) as process:
        yield store, Asked(process, events)
        process.kill()


def test_a_rare_call_is_there_at_once_and_the_rest_when_the_process_ends(deployed: tuple[S3Store, Asked]) -> None:
    store, function = deployed
    assert [part.split(";")[0] for part in function.ask()["Server-Timing"].split(", ")] == PHASES
    until = time.monotonic() + 60
    while not counted(store) and time.monotonic() < until:
        time.sleep(0.05)
    [first] = counted(store)
    assert (first.requests, first.cold, first.loads, first.routes) == (1, 1, 1, {"infer": 1})
    for _ in range(3):
        function.ask()
    assert len(counted(store)) == 1  # not more than one a minute
    function.process.send_signal(signal.SIGTERM)
    assert function.process.wait(60) == 128 + signal.SIGTERM
    total = Counts()
    for counts in counted(store):
        total.add(counts)
    assert (total.requests, total.cold, total.loads) == (4, 1, 1)
