"""Have the ingest function look now, and not once a day, for uploads without a verdict and for versions of older gates.

    python -m ops.recheck FUNCTION

Needs AWS credentials that may invoke the function. It works as long as one call of the function may take, so it is
called until nothing is left.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

CALL = 130  # seconds that one look takes at most: the function's own limit, and a cold start


def look(functions: Any, function: str, tell: Callable[[str], None], patience: int | None = None) -> bool:
    """False where a look failed: what is left is looked at again once a day.

    functions: a boto3 client. tell: takes a line for each look that came upon something. patience: seconds after which
    an upload counts as forgotten, by who knows that no event is on its way.
    """
    event = json.dumps({} if patience is None else {"patience": patience})
    while True:
        answer = functions.invoke(FunctionName=function, Payload=event)
        outcome = json.load(answer["Payload"])
        if "FunctionError" in answer:
            tell(f"some uploads have no verdict yet, and are looked at again once a day: {outcome}")
            return False
        if outcome["handled"]:
            tell(f"uploads that have their verdict now: {len(outcome['handled'])}")
        if outcome["rechecked"]:
            refused = [f"{one['model']}@{one['version']}" for one in outcome["rechecked"] if one["refused"]]
            named = f"; refused, and not served any more: {', '.join(refused)}" if refused else ""
            tell(f"versions of an older gate that were checked again: {len(outcome['rechecked'])}{named}")
        if not outcome["handled"] and not outcome["rechecked"]:
            return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", help="the ingest function's name: the stack's output IngestFunctionName")
    options = parser.parse_args()
    functions = boto3.client("lambda", config=Config(read_timeout=CALL, retries={"max_attempts": 0}))
    complete = look(functions, options.function, print)
    print("nothing is left to check" if complete else "run it again when the cause is mended")
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main())
