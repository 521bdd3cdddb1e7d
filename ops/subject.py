"""The name of a JWT's subject in records and logs, to find what it did: `by` in the history of a model.

python -m ops.subject ISSUER SUBJECT
"""

from __future__ import annotations

import argparse

from shared.access.jwt.callers import identity


def main() -> None:
    parser = argparse.ArgumentParser(description="print the name of a subject in records and logs")
    parser.add_argument("issuer", help="JwtIssuer of the deployment, exactly")
    parser.add_argument("subject", help="the claim `sub`")
    options = parser.parse_args()
    print(identity(options.issuer, options.subject))


if __name__ == "__main__":
    main()
