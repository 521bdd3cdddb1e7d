"""Measures a model at several memory sizes of the function that predicts, and says in JSON which one suits it.

`amaas tune` runs it, and prints a table.

    python -m ops.tune FUNCTION MODEL@VERSION INPUT [--sizes 512 1024 1769] [--repeat 30] [--endpoint-url URL]

FUNCTION is the stack's output InferenceFunctionName. Needs AWS credentials that may read it, create and delete
functions beside it, and pass them its role. What callers get does not change: the sweep calls functions of its own
(siblings.py). Its calls are counted as calls of the version's number, by no alias, so no canary is judged by them.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import mimetypes
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.siblings import siblings
from shared.cost.advice import Measured, advise, size
from shared.cost.cost import VCPU_MB
from shared.cost.prices import parse

SIZES = (512, 768, 1024, 1769, 3008)
REPORT = re.compile(
    r"Duration: ([\d.]+) ms\s+Billed Duration: (\d+) ms.*?Max Memory Used: (\d+) MB(?:\s+Init Duration: ([\d.]+) ms)?"
)
UNKNOWN = [
    f"more than {VCPU_MB} MB are more than one vCPU, and a model runs on one: they buy memory, and no time",
    "how long a first call takes after a larger deployment, or on another day",
]
EMBEDDED = (
    "which size is cheapest or fastest, and how much memory calls take: an embedded cloud gives each function what "
    "this machine has, and AWS a share by its memory"
)


class Report(NamedTuple):
    """What a call took. init: the start of its process, None where it had one already; both in ms. used_mb: the most
    memory that the process has had, None where that is not known.
    """

    duration: float
    billed: int
    used_mb: int | None
    init: float | None


def parse_report(log: str) -> Report:
    """From the end of a call's log: the platform's own line, in JSON or as text; else the function's line of the call,
    which embedded clouds have alone. Raises ValueError without any.
    """
    lines = [line for line in log.splitlines() if line.startswith("{")]
    decoded = [one for one in map(_json, lines) if one]
    for one in decoded:
        if one.get("type") == "platform.report":
            figures = one["record"]["metrics"]
            used, billed = figures.get("maxMemoryUsedMB"), int(figures["billedDurationMs"])
            return Report(float(figures["durationMs"]), billed, used, figures.get("initDurationMs"))
    if match := REPORT.search(log):
        duration, billed_text, used_text, init = match.groups()
        return Report(float(duration), int(billed_text), int(used_text), float(init) if init else None)
    for one in decoded:
        if one.get("message") == "call":
            own = float(one["Duration"])
            return Report(own, math.ceil(own), None, 0.0 if one["cold_start"] else None)
    raise ValueError("the function's log does not say what the call took: it needs the level INFO")


def _json(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:  # the log comes from its end, and its first line may be a part of one
        return {}
    return value if isinstance(value, dict) else {}


def event(model: str, version: int, body: bytes, content_type: str) -> bytes:
    """A prediction as the gateway passes it on, of a caller who may infer."""
    path = f"/models/{quote(model, safe='')}/versions/{version}/predict"
    caller = {"principalId": "tune", "name": "tune", "scope_list": '["infer"]'}
    request = {
        "httpMethod": "POST",
        "path": path,
        "headers": {"content-type": content_type},
        "queryStringParameters": None,
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "requestContext": {"requestId": "tune", "authorizer": caller},
    }
    return json.dumps(request).encode()


def call(functions: Any, name: str, payload: bytes) -> tuple[Report | None, str | None]:
    """The report of a call, and why it failed, if it did."""
    answer = functions.invoke(FunctionName=name, Payload=payload, LogType="Tail")
    outcome = json.load(answer["Payload"])
    report = parse_report(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"))
    if "FunctionError" in answer:
        return report, str(outcome.get("errorMessage", outcome))
    if outcome["statusCode"] != 200:
        text = base64.b64decode(outcome["body"]).decode() if outcome.get("isBase64Encoded") else outcome["body"]
        return report, f"{outcome['statusCode']}: {text}"[:300]
    return report, None


def sweep(functions: Any, function: str, payload: bytes, sizes: list[int], repeat: int) -> list[Measured]:
    """Each size in turn, `repeat` times: what changes meanwhile changes for all. One that fails is given up."""
    measured = {one: Measured(memory_mb=one, milliseconds=[], billed_ms=[]) for one in sizes}
    with siblings(functions, function, sizes) as names:
        for turn in range(repeat + 1):
            for memory, one in measured.items():
                if one.failure is None:
                    _measure(functions, names[memory], payload, one, first=turn == 0)
    return list(measured.values())


def _measure(functions: Any, name: str, payload: bytes, one: Measured, *, first: bool) -> None:
    """One call. The first one starts the process, and is a start, not a warm call; so is any other that starts one."""
    report, one.failure = call(functions, name, payload)
    if report is None:
        return
    if report.used_mb is not None:
        one.used_mb = max(one.used_mb or 0, report.used_mb)
    if first:
        one.start_ms = report.duration + (report.init or 0.0)
    elif report.init is None and one.failure is None:
        one.milliseconds.append(report.duration)
        one.billed_ms.append(report.billed)


def main() -> int:
    options = _options().parse_args()
    model, _, version = options.model.partition("@")
    if not version.isdigit():
        raise SystemExit("name the version by its number, as in my-model@3: an alias may be moved during the sweep")
    content_type = options.content_type or mimetypes.guess_type(options.input)[0] or "application/json"
    payload = event(model, int(version), Path(options.input).read_bytes(), content_type)
    patience = Config(read_timeout=120, retries={"max_attempts": 0})
    functions = boto3.client("lambda", endpoint_url=options.endpoint_url, config=patience)
    try:
        measured = sweep(functions, options.function, payload, sorted(set(options.sizes)), options.repeat)
    except (BotoCoreError, ClientError, ValueError) as error:
        print(f"the sweep was given up, and its functions were deleted: {error}", file=sys.stderr)
        return 1
    prices = parse(options.prices)
    sizes = [size(one, prices) for one in measured]
    advice = advise(sizes, cpu_follows_memory=options.endpoint_url is None)
    notes = [EMBEDDED] if options.endpoint_url else UNKNOWN
    answer = {"model": model, "version": int(version), "sizes": sizes, "advice": advice, "not_known": notes}
    print(msgspec.json.format(msgspec.json.encode(answer | {"prices": prices})).decode())
    return 0 if advice.smallest is not None else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", help="the stack's output InferenceFunctionName")
    parser.add_argument("model", help="MODEL@NUMBER")
    parser.add_argument("input", help="a file as amaas predict takes it: an image, JSON, CSV, text, a sound")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="in MB, from 128 to 10240")
    parser.add_argument("--repeat", type=int, default=30, help="warm calls at each size")
    parser.add_argument("--content-type", help="of the input; default: by its name")
    parser.add_argument("--prices", default="", help="JSON as the parameter Prices has it")
    parser.add_argument("--endpoint-url", help="an endpoint of Lambda other than AWS")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
