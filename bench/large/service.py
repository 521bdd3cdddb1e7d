"""The function `generate` under Amazon's emulator, beside a bare handler (bare.py): first token, and each further one.

    python -m bench.large.service [--quick] [--write]    in the environment `dev`, by `make bench-large`

Cold is from the start of the process to the answer of one token: alias, signature, weights from an S3 server on this
machine, session, prompt. Warm is a call of one token by a process that has the model, with a prompt that it has not
seen; a further token is the difference to a call of many. Turns of both alternate.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import tokenizers

from bench.calls import Call, event
from bench.deployed import Bucket, built
from bench.large.record import HOME, Figures, measured
from bench.machine import DEPLOYED
from shared.ingest.candidate import check_package, store_blobs
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.registry import versions
from shared.registry.state import Change
from tests import emulator, servers

FORMS = {"FP32": "fp32", "8 bits": "forms/weight8"}
WORDS = ["river", "stone", "cloud", "window", "garden", "letter", "music", "winter", "bridge", "island"]
LENGTH, TOKENS, COLD, WARM = 120, 49, 5, 15  # words of a prompt; tokens of a long answer; turns
HANDLER = "functions.generate.app.handler"
MEMORY = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008", "AWS_LAMBDA_FUNCTION_TIMEOUT": "300", "MODEL_THREADS": "1"}
Way = Callable[[int, int], dict[str, Any]]  # an event by the number of a call and its tokens


def push(bucket: Bucket, name: str, folder: Path, room: Path) -> None:
    """Through the gate."""
    from amaas.api import package

    with package.opened(folder) as files:
        described = manifest.decode(files["amaas.json"].read_bytes(), check_names=True)
        candidate = check_package(name, described, files, Limits(), room)
        log = bucket.log()
        versions.register(log, name, store_blobs(log, candidate, "upload"), Change(by="bench"))


def prompt(call: int) -> str:
    """Of LENGTH words, other ones from the first on for each call: no cache of prompts has them."""
    places = range(call % 97, call % 97 + LENGTH)
    return " ".join(WORDS[(call * 7 + word * (1 + call % 9)) % len(WORDS)] for word in places)


def ours(parts: dict[str, Path], bucket: Bucket, name: str) -> tuple[emulator.Function, Way]:
    layers = [parts["CoreLayer"], parts["RuntimeLayer"]]
    function = emulator.Function(parts["GenerateFunction"], HANDLER, layers, bucket.environment() | MEMORY)

    def ask(call: int, tokens: int) -> dict[str, Any]:
        body = {"model": name, "prompt": prompt(call), "max_tokens": tokens, "temperature": 0}
        headers = {"content-type": "application/json"}
        return event(Call("/v1/completions", headers, json.dumps(body).encode()))

    return function, ask


def bare(parts: dict[str, Path], bucket: Bucket, folder: Path, home: Path) -> tuple[emulator.Function, Way]:
    code = home / f"bare-{folder.name}"
    code.mkdir()
    (code / "bare.py").write_text(Path(__file__).with_name("bare.py").read_text())
    s3, urls = boto3.client("s3", endpoint_url=bucket.endpoint), {}
    for file in ("model.onnx", "model.onnx.data"):
        s3.upload_file(str(folder / file), bucket.name, f"bare/{folder.name}/{file}")
        place = {"Bucket": bucket.name, "Key": f"bare/{folder.name}/{file}"}
        urls[file] = s3.generate_presigned_url("get_object", Params=place)
    described = json.loads((folder / "genai_config.json").read_text())["model"]["decoder"]
    env = {"FILES": json.dumps(urls), "HEADS": str(described["num_key_value_heads"])}
    env |= {"WIDTH": str(described["head_size"])} | DEPLOYED | MEMORY
    function = emulator.Function(code, "bare.handler", [parts["RuntimeLayer"]], env)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    def ask(call: int, tokens: int) -> dict[str, Any]:
        return {"prompt": tokenizer.encode(prompt(call)).ids, "tokens": tokens}

    return function, ask


class Warm:
    """A function that runs."""

    def __init__(self, way: tuple[emulator.Function, Way], runtime: Path, log: Path, stack: ExitStack) -> None:
        function, self._ask = way
        port, self._process = stack.enter_context(emulator.running(function, runtime, log))
        self._connection = emulator.connected(port, self._process)

    def call(self, number: int, tokens: int) -> tuple[float, float, int]:
        """Seconds of time, seconds of CPU, and how many tokens were answered."""
        asked = json.dumps(self._ask(number, tokens)).encode()
        cpu, started = emulator.used(self._process.pid)[0] if number else 0.0, time.perf_counter()
        self._connection.request("POST", emulator.INVOKE, asked, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        taken = time.perf_counter() - started
        if answer.get("statusCode") != 200:
            raise SystemExit(f"the function answered {str(answer)[:600]}")
        return taken, emulator.used(self._process.pid)[0] - cpu, count(answer)


def count(answer: dict[str, Any]) -> int:
    """Tokens of an answer."""
    if "tokens" in answer:
        return len(answer["tokens"])
    return int(json.loads(answer["body"])["usage"]["completion_tokens"])


def warm(ways: dict[str, tuple[emulator.Function, Way]], runtime: Path, log: Path, rounds: int) -> Figures:
    taken: dict[str, dict[str, list[float]]] = {name: {"first": [], "further": [], "cpu": []} for name in ways}
    with ExitStack() as stack:
        functions = {name: Warm(way, runtime, log, stack) for name, way in ways.items()}
        for name in functions:
            functions[name].call(0, 1)
        for turn in range(1, rounds + 1):
            for name, function in functions.items():
                first, first_cpu, _ = function.call(2 * turn, 1)
                many, many_cpu, tokens = function.call(2 * turn + 1, TOKENS)
                taken[name]["first"].append(first)
                if tokens > TOKENS // 2:  # ours ends where the model ends
                    taken[name]["further"].append((many - first) / (tokens - 1))
                    taken[name]["cpu"].append((many_cpu - first_cpu) / (tokens - 1))
    return {name: {part: statistics.median(some) for part, some in parts.items()} for name, parts in taken.items()}


def cold(ways: dict[str, tuple[emulator.Function, Way]], runtime: Path, log: Path, rounds: int) -> dict[str, float]:
    """Seconds. The first turn fills the page cache."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, (function, ask) in ways.items():
            started = emulator.start(function, ask(turn + 1, 1), runtime, log)
            if turn:
                taken[name].append(started.wall)
    return {name: statistics.median(some) for name, some in taken.items()}


def measure(quick: bool) -> Figures:
    forms: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=HOME) as folder:
        home = Path(folder)
        runtime, log = emulator.runtime(home / "runtime"), home / "log.txt"
        parts = built(home / "build", "GenerateFunction", "CoreLayer", "RuntimeLayer")
        (home / "s3").mkdir()
        with servers.seaweedfs(home / "s3") as endpoint:
            servers.credentials(endpoint)
            bucket = Bucket.create("large", endpoint, home)
            for form, place in list(FORMS.items())[: 1 if quick else None]:
                name = place.rpartition("/")[2]
                room = home / f"gate-{name}"
                room.mkdir()
                push(bucket, name, HOME / place, room)
                ways = {"ours": ours(parts, bucket, name), "bare": bare(parts, bucket, HOME / place, home)}
                forms[form] = {
                    "cold": cold(ways, runtime, log, 1 if quick else COLD),
                    "warm": warm(ways, runtime, log, 2 if quick else WARM),
                }
    return {"forms": forms}


if __name__ == "__main__":
    measured("service", measure, __doc__)
