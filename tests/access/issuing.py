"""An issuer of JWTs on the loopback interface: keys that can be changed, tokens of any form, an address to ask."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

AUDIENCE = "amaas"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, length: int = 0) -> str:
    return text(value.to_bytes(length or (value.bit_length() + 7) // 8))


def _generate(kind: str) -> Private:
    return rsa.generate_private_key(65537, 2048) if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())


class Key:
    """A key pair with an id. kind: `RS256` or `ES256`."""

    def __init__(self, kid: str, kind: str, private: Private | None = None) -> None:
        self.kid, self.kind = kid, kind
        if private is None:
            private = (
                rsa.generate_private_key(65537, 2048) if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())
            )
        self.private = private

    def jwk(self) -> dict[str, str]:
        common = {"kid": self.kid, "use": "sig", "alg": self.kind}
        if isinstance(self.private, rsa.RSAPrivateKey):
            public = self.private.public_key().public_numbers()
            return {"kty": "RSA", "n": number(public.n), "e": number(public.e)} | common
        point = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)} | common

    def sign(self, content: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(content, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.private.sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def token(self, claims: Mapping[str, Any] | bytes, **header: Any) -> str:
        """A JWT. header: members beside or in place of the usual ones; None leaves one out."""
        members = {"alg": self.kind, "kid": self.kid, "typ": "JWT"} | header
        head = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        content = f"{text(head)}.{text(body)}"
        return f"{content}.{text(self.sign(content.encode()))}"


def by_hmac(secret: bytes, claims: Mapping[str, Any], **header: Any) -> str:
    content = f"{text(json.dumps({'alg': 'HS256'} | header).encode())}.{text(json.dumps(claims).encode())}"
    signer = hmac.HMAC(secret, hashes.SHA256())
    signer.update(content.encode())
    return f"{content}.{text(signer.finalize())}"


class LocalIssuer:
    """answers: bodies by path, which a test may change. asked: the paths. delay: seconds before each answer."""

    def __init__(self, keys: list[Key]) -> None:
        self.address = ""
        self.answers: dict[str, bytes | tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.delay = 0.0
        self.keys = keys

    def publish(self, keys: list[Key], **configuration: Any) -> None:
        self.keys = keys
        described = {"issuer": self.address, "jwks_uri": f"{self.address}/keys"} | configuration
        self.answers = {
            "/.well-known/openid-configuration": json.dumps(described).encode(),
            "/keys": json.dumps({"keys": [key.jwk() for key in keys]}).encode(),
        }

    def claims(self, **others: Any) -> dict[str, Any]:
        """Valid ones, with others in their place; None leaves one out."""
        now = int(time.time())
        members = {"iss": self.address, "sub": "ann@example.com", "aud": AUDIENCE, "exp": now + 600, "iat": now,
                   "amaas_scopes": ["infer:fashion-*", "read"]} | others  # fmt: skip
        return {name: value for name, value in members.items() if value is not None}


@contextmanager
def serving(issuer: LocalIssuer, certificate: Path | None = None, key: Path | None = None) -> Iterator[LocalIssuer]:
    """The issuer's server, by HTTPS where it has a certificate."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            time.sleep(issuer.delay)
            answer = issuer.answers.get(self.path, (404, b"{}"))
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    scheme = "http"
    if certificate and key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    issuer.address = f"{scheme}://localhost:{server.server_address[1]}"
    issuer.publish(issuer.keys)
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
