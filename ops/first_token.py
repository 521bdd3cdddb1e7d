"""Create a deployment's first administrator token: the API needs a token to create one.

Needs AWS credentials that may invoke the tokens function, which is the only one that may write and sign tokens.

    python -m ops.first_token FUNCTION [--endpoint-url URL] [--name NAME] [--days DAYS] [--person PERSON]
"""

from __future__ import annotations

import argparse

from ops import tokens


def main() -> None:
    parser = argparse.ArgumentParser(description="print a new token with the scope admin")
    parser.add_argument("function", help="the tokens function's name: the stack's output TokensFunctionName")
    parser.add_argument("--endpoint-url", help="an endpoint of Lambda other than AWS")
    parser.add_argument("--name", default="bootstrap", help="the token's name in listings")
    parser.add_argument("--days", type=float, help="for which it is valid; by default, what the deployment says")
    parser.add_argument("--person", help="whose it is, if they have another one: two tokens of a person count once")
    s = parser.parse_args()
    command = {"create": {"name": s.name, "scopes": ["admin"], "days": s.days, "person": s.person}}
    print(tokens.order(s.function, command, s.endpoint_url)["token"])


if __name__ == "__main__":
    main()
