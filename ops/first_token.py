"""Create a deployment's first administrator token directly in its bucket: the API needs a token to create one.

Needs AWS credentials that may write the bucket.

    python -m ops.first_token BUCKET [--endpoint-url URL] [--name NAME]
"""

from __future__ import annotations

import argparse

from shared.access.tokens import create
from shared.storage.s3 import S3Store


def main() -> None:
    parser = argparse.ArgumentParser(description="print a new token with the scope admin")
    parser.add_argument("bucket")
    parser.add_argument("--endpoint-url", help="an S3 endpoint other than AWS")
    parser.add_argument("--name", default="bootstrap", help="the token's name in listings")
    args = parser.parse_args()
    _, secret = create(S3Store(args.bucket, args.endpoint_url), args.name, ["admin"])
    print(secret)


if __name__ == "__main__":
    main()
