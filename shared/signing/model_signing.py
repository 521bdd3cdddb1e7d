"""A package's signature in the format OpenSSF Model Signing v1.0, so that a package can be verified without Amaas.

The format is a Sigstore bundle (v0.3) around a DSSE envelope around an in-toto statement (v1), whose predicate lists
the SHA-256 of each file. It is written here, because OpenSSF's implementation (`model_signing`) reads private keys from
files only, while ours stay in KMS; in the tests, that implementation verifies these bundles.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from shared.signing import p256
from shared.signing.base import Signer

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
PAYLOAD = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNATURE_FILE = "model.sig"


def sign(signer: Signer, name: str, files: Mapping[str, str]) -> bytes:
    """The bundle (JSON) for a package. files: SHA-256 (hex) by file name. Raises Unavailable."""
    payload = msgspec.json.encode(_statement(name, files))
    envelope = {
        "payload": _base64(payload),
        "payloadType": PAYLOAD,
        "signatures": [{"sig": _base64(signer.sign(_pre_authentication(payload)))}],
    }
    hint = hashlib.sha256(pem(signer.public)).hexdigest()
    material = {"publicKey": {"hint": hint}, "tlogEntries": []}
    return msgspec.json.encode({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope})


def verify(bundle: bytes, files: Mapping[str, str], trusted: Iterable[bytes]) -> bool:
    """Whether a bundle is a signature over exactly these files with one of these public keys (DER). Never raises.

    files: SHA-256 (hex) by file name.
    """
    try:
        envelope = msgspec.json.decode(bundle, type=_Bundle).dsseEnvelope
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(signature.sig, validate=True) for signature in envelope.signatures]
        statement = msgspec.json.decode(payload, type=_Statement)
    except (msgspec.MsgspecError, ValueError):
        return False
    signed = {resource.name: resource.digest for resource in statement.predicate.resources}
    message = _pre_authentication(payload)
    return (
        envelope.payloadType == PAYLOAD
        and statement.predicateType == PREDICATE
        and signed == dict(files)
        and any(p256.verify(key, message, signature) for key in trusted for signature in signatures)
    )


class _Signature(Struct):
    sig: str


class _Envelope(Struct):
    payload: str
    payloadType: str
    signatures: list[_Signature]


class _Bundle(Struct):
    dsseEnvelope: _Envelope


class _Resource(Struct):
    name: str
    digest: str


class _Predicate(Struct):
    resources: list[_Resource]


class _Statement(Struct):
    predicateType: str
    predicate: _Predicate


def pem(public: bytes) -> bytes:
    """A public key (DER) as PEM, which verification tools read."""
    lines = "\n".join(textwrap.wrap(_base64(public), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n".encode()


def _statement(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    resources = [{"name": file, "algorithm": "sha256", "digest": files[file]} for file in sorted(files)]
    root = hashlib.sha256(b"".join(bytes.fromhex(files[file]) for file in sorted(files))).hexdigest()
    serialization = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": [SIGNATURE_FILE],
    }
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE,
        "predicate": {"serialization": serialization, "resources": resources},
    }


def _pre_authentication(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the signature covers the payload's type, too."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
