"""Has the ingest function check uploads without a verdict, and outdated versions, now instead of at their times.

    python -m ops.recheck FUNCTION

Needs AWS credentials that may invoke the function. One call checks as many as fit into the function's time limit, so it
is called until nothing is left.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

CALL = 930  # seconds that one call takes at most: the function's time limit, and a cold start


def look(functions: Any, function: str, report: Callable[[str], None], patience: int | None = None) -> bool:
    """Whether all was checked. False if a call failed: the function's looks go on with the rest.

    functions: a boto3 client. report: gets a line for each call that checked something. patience: seconds without a
    verdict after which an upload is checked; 0 if no event can be on its way.
    """
    event = json.dumps({} if patience is None else {"patience": patience})
    while True:
        answer = functions.invoke(FunctionName=function, Payload=event)
        outcome = json.load(answer["Payload"])
        if "FunctionError" in answer:
            report(f"some uploads have no verdict yet, and the looks, every 15 minutes, go on with them: {outcome}")
            return False
        if outcome["handled"]:
            report(f"uploads that now have a verdict: {len(outcome['handled'])}")
        if outcome["rechecked"]:
            refused = [f"{one['model']}@{one['version']}" for one in outcome["rechecked"] if one["refused"]]
            rejections = f"; rejected, and no longer served: {', '.join(refused)}" if refused else ""
            report(f"versions checked again, as older checks accepted them: {len(outcome['rechecked'])}{rejections}")
        if not outcome["handled"] and not outcome["rechecked"]:
            return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", help="the ingest function's name: the stack's output IngestFunctionName")
    options = parser.parse_args()
    functions = boto3.client("lambda", config=Config(read_timeout=CALL, retries={"max_attempts": 0}))
    complete = look(functions, options.function, print)
    print("nothing is left to check" if complete else "run it again when the cause is fixed")
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main())
