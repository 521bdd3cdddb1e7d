"""Delete the usage keys that no token needs: of tokens that expired. An account has 10,000 keys a Region.

    python -m ops.free_keys FUNCTION [--endpoint-url URL]

Needs AWS credentials that may invoke the tokens function.
"""

from __future__ import annotations

import argparse

from ops import tokens


def main() -> None:
    parser = argparse.ArgumentParser(description="delete the usage keys that no token needs")
    parser.add_argument("function", help="the tokens function's name: the stack's output TokensFunctionName")
    parser.add_argument("--endpoint-url", help="an endpoint of Lambda other than AWS")
    options = parser.parse_args()
    freed = tokens.order(options.function, {"free_keys": True}, options.endpoint_url)["freed"]
    print(f"deleted {len(freed)} usage keys that no token needs")


if __name__ == "__main__":
    main()
