"""What a function of the embedded cloud has logged, to read: `make logs F=inference`, `python -m local.logs inference`.

The lines themselves are JSON, as on AWS; here each is a time, a level, a message and its fields. See docs/logs.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from local.deploy import client
from local.settings import ACCESS, ROOT, STACK

# of Lambda's own format, or of the metrics: what a reader of a terminal does without
HIDDEN = {"timestamp", "level", "message", "logger", "requestId", "_aws", "errorType", "errorMessage", "stackTrace"}
PAUSE = 1.0
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))


def readable(line: str) -> str:
    """A line of a function's log for a terminal; what is no JSON stays as it is."""
    try:
        values: dict[str, Any] = json.loads(line)
        head = f"{values['timestamp'][11:23]:12} {values['level']:7} {values['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    fields = [f"{name}={_text(value)}" for name, value in values.items() if name not in HIDDEN]
    if "errorType" in values:
        fields.append(f"{values['errorType']}: {values.get('errorMessage', '')}")
    return "\n    ".join(["  ".join([head, *fields]), *_frames(values.get("stackTrace") or [])])


def _text(value: Any) -> str:
    """Without quotes where nobody can take it for something else."""
    plain = isinstance(value, str) and value and value.isprintable() and " " not in value
    return value if plain else json.dumps(value)


def _frames(trace: list[str]) -> list[str]:
    return [line for frame in trace for line in frame.rstrip().splitlines()]


def events(endpoint: str, function: str, since: float) -> Iterator[tuple[int, str]]:
    """Milliseconds since the epoch, and a line, in their order. since: seconds since the epoch."""
    logs = client("logs", endpoint)
    group = f"/amaas/{STACK}/{function}"
    token: dict[str, str] = {}
    while True:
        try:
            page = logs.filter_log_events(logGroupName=group, startTime=int(since * 1000), **token)
        except logs.exceptions.ResourceNotFoundException:
            return  # it was never called
        for event in sorted(page["events"], key=lambda event: event["timestamp"]):
            yield event["timestamp"], event["message"]
        if "nextToken" not in page:
            return
        token = {"nextToken": page["nextToken"]}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", choices=FUNCTIONS)
    parser.add_argument("--minutes", type=float, default=60, help="how far to look back (default: 60)")
    parser.add_argument("--follow", action="store_true", help="go on until it is interrupted")
    parser.add_argument("--json", action="store_true", help="the lines as they are")
    options = parser.parse_args(arguments)
    if not ACCESS.exists():
        raise SystemExit("there is no local deployment: start it with make run")
    endpoint, since = json.loads(ACCESS.read_text())["endpoint_url"], time.time() - options.minutes * 60
    while True:
        for stamp, line in events(endpoint, options.function, since):
            print(line if options.json else readable(line))
            since = stamp / 1000 + 0.001
        if not options.follow:
            return
        sys.stdout.flush()
        time.sleep(PAUSE)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
