"""Signs tokens that an earlier release wrote, or that a former key signed: until then, they open nothing.

    python -m ops.sign_tokens FUNCTION                 lists them, and changes nothing
    python -m ops.sign_tokens FUNCTION --sign ID ...   signs those
    python -m ops.sign_tokens FUNCTION --sign all

WARNING: whoever could write to the bucket could write such a record, or change its scopes. Look at the list first:
whoever signs vouches for each name and its scopes. Tokens that are in doubt are better created anew.

Needs AWS credentials that may invoke the tokens function.
"""

from __future__ import annotations

import argparse
import sys

from ops import tokens


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", help="the tokens function's name: the stack's output TokensFunctionName")
    parser.add_argument("--sign", nargs="+", metavar="ID", help="ids from the list, or all")
    parser.add_argument("--endpoint-url", help="an endpoint of Lambda other than AWS")
    s = parser.parse_args()
    unusable = tokens.order(s.function, {"list_unusable": True}, s.endpoint_url)["unusable"]
    if not s.sign:
        for one in unusable:
            print(f"{one['id']}  {one['created_at'][:10]}  {one['name']}  {', '.join(one['scopes'])}: {one['problem']}")
        print(
            "every token is signed" if not unusable else "nothing was changed: --sign ID ..., or --sign all, signs them"
        )
        return 0
    ids = [one["id"] for one in unusable] if s.sign == ["all"] else s.sign
    signed = tokens.order(s.function, {"sign": ids}, s.endpoint_url)["signed"]
    for one in signed:
        print(one["id"], one.get("error") or f"is signed: {one['name']}, {', '.join(one['scopes'])}")
    failed = [one for one in signed if "error" in one]
    if failed:
        print(f"{len(failed)} could not be signed: create others in their place", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
