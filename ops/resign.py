"""Re-signs the present state of every model, after a change of keys, or if records were not signed before.

A signature covers all records before it. Models whose newest record was signed with the key are left unchanged.

WARNING: this makes the present content of the bucket trusted. Run `amaas verify` on each model first.

Needs AWS credentials that may read and write the bucket and use the key.
"""

from __future__ import annotations

import argparse
import sys

from shared.errors import Conflict
from shared.formats import TooNew
from shared.registry import catalog, models
from shared.registry.fold import Broken
from shared.registry.log import Log
from shared.registry.state import Change
from shared.signing.base import Signer
from shared.signing.kms import KmsKey
from shared.signing.local import LocalKey
from shared.storage.base import Store
from shared.storage.s3 import S3Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bucket")
    parser.add_argument("key", help="a KMS key's id or ARN, or file: and the path of a PEM file")
    parser.add_argument("--reason", default="the signing key was changed")
    parser.add_argument("--endpoint-url", help="an S3 and KMS endpoint other than AWS")
    options = parser.parse_args()
    key: Signer
    if options.key.startswith("file:"):
        key = LocalKey.load(options.key.removeprefix("file:"))
    else:
        key = KmsKey(options.key, options.endpoint_url)
    for name, revision in re_sign(S3Store(options.bucket, options.endpoint_url), key, options.reason):
        print(f"{name} was re-signed with revision {revision}")


def re_sign(store: Store, key: Signer, reason: str) -> list[tuple[str, int]]:
    """Sign every model whose newest record was not signed with the key. Returns their names and new revisions.

    Models that a later release has changed are skipped, and reported on standard error.
    """
    log, strict = Log(store, signer=key), Log(store, trusted=[key.public])
    signed = []
    for name in catalog.list_names(store):
        try:
            if not _is_signed(strict, name):
                signed.append((name, models.re_sign(log, name, Change(by="operator", reason=reason)).revision))
        except (TooNew, Conflict) as error:
            print(f"{name} was not re-signed: {error}", file=sys.stderr)
    return signed


def _is_signed(strict: Log, name: str) -> bool:
    try:
        strict.read(name)
    except Broken:
        return False
    return True


if __name__ == "__main__":
    main()
