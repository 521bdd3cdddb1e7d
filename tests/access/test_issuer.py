"""The keys of an issuer: fetched, changed, out of reach; and addresses that are not to be trusted."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.access.jwt import callers, issuer, signed
from shared.access.jwt.callers import Rules
from shared.access.jwt.issuer import Issuer, fetch_bounded
from shared.errors import Unauthenticated, Unavailable
from tests.access.issuing import AUDIENCE, Key, LocalIssuer, serving

ENDPOINT = "http://127.0.0.1:4566"
RULES = Rules(AUDIENCE, "amaas_scopes")
OLD, NEW = Key("old", "ES256"), Key("new", "ES256")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def local() -> Iterator[LocalIssuer]:
    with serving(LocalIssuer([OLD])) as server:
        yield server


def test_keys_are_fetched_once(local: LocalIssuer) -> None:
    trusted = Issuer(local.address, ENDPOINT)
    for _ in range(5):
        callers.authenticate(OLD.token(local.claims()), trusted, RULES)
    assert local.asked == ["/.well-known/openid-configuration", "/keys"]


def test_a_new_key_is_known_when_it_is_first_used_and_an_old_one_ends(local: LocalIssuer) -> None:
    clock = Clock()
    trusted = Issuer(local.address, ENDPOINT, clock=clock)
    trusted.key("old")
    local.publish([NEW])
    clock.now += issuer.PAUSE
    assert trusted.key("new").kid == "new"
    with pytest.raises(Unauthenticated):
        trusted.key("old")


def test_invented_keys_cost_one_fetch_in_a_while(local: LocalIssuer) -> None:
    clock = Clock()
    trusted = Issuer(local.address, ENDPOINT, clock=clock)
    for n in range(100):
        with pytest.raises(Unauthenticated):
            trusted.key(f"invented-{n}")
        clock.now += 0.1
    assert len(local.asked) == 2
    clock.now += issuer.PAUSE
    with pytest.raises(Unauthenticated):
        trusted.key("invented")
    assert len(local.asked) == 4


def test_an_issuer_that_is_away_for_a_while_and_for_long(local: LocalIssuer) -> None:
    clock = Clock()
    trusted = Issuer(local.address, ENDPOINT, clock=clock)
    trusted.key("old")
    local.answers = {}
    for _ in range(10):
        clock.now += issuer.FRESH + 1
        assert trusted.key("old").kid == "old"
    clock.now += issuer.STALE
    with pytest.raises(Unavailable, match="does not answer"):
        trusted.key("old")
    local.publish([OLD])
    clock.now += issuer.PAUSE
    assert trusted.key("old").kid == "old"


def test_a_process_without_keys_says_so_and_waits_between_attempts(local: LocalIssuer) -> None:
    clock = Clock()
    local.answers = {}
    trusted = Issuer(local.address, ENDPOINT, clock=clock)
    for _ in range(5):
        with pytest.raises(Unavailable):
            trusted.key("old")
    assert len(local.asked) == 1


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": "http://elsewhere.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user@elsewhere.example/"},
        {"jwks_uri": None},
    ],
)
def test_a_discovery_document_that_leads_elsewhere(local: LocalIssuer, configuration: dict[str, str | None]) -> None:
    local.publish([OLD], **configuration)
    with pytest.raises(Unavailable):
        Issuer(local.address, ENDPOINT).key("old")
    assert local.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "place", ["http://issuer.example/keys", "http://127.0.0.1:80/keys", "file:///keys", "https://u@issuer.example/keys"]
)
def test_keys_are_not_fetched_from_an_unsafe_place_that_would_answer(place: str) -> None:
    asked = []

    def fetch(address: str, seconds: float) -> bytes:
        asked.append(address)
        if address.endswith("openid-configuration"):
            return json.dumps({"issuer": "https://issuer.example", "jwks_uri": place}).encode()
        return json.dumps({"keys": [OLD.jwk()]}).encode()

    with pytest.raises(Unavailable):
        Issuer("https://issuer.example", fetch=fetch).key("old")
    assert asked == ["https://issuer.example/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"keys": []}',
        b'{"keys": 7}',
        b'{"keys": [{}, 7]}',
        b"x" * 300_000,
        (302, b"/keys2"),
        (500, b""),
    ],
)
def test_answers_that_are_no_keys(local: LocalIssuer, body: bytes | tuple[int, bytes]) -> None:
    local.answers["/keys"] = body
    local.answers["/keys2"] = json.dumps({"keys": [OLD.jwk()]}).encode()
    with pytest.raises(Unavailable):
        Issuer(local.address, ENDPOINT).key("old")
    assert "/keys2" not in local.asked


def test_an_answer_that_takes_too_long(local: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "FETCH", 0.2)
    local.delay = 1.0
    with pytest.raises(Unavailable):
        Issuer(local.address, ENDPOINT).key("old")


def test_an_answer_whose_headers_never_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    connection.sendall(b"X: y\r\n")
                    time.sleep(0.1)
            ended.set()

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(ValueError, match="too long"):
            fetch_bounded(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.5)
        assert time.monotonic() - started < 30
        assert ended.wait(30), "and nothing goes on reading it"


def test_keys_that_are_not_used() -> None:
    usable = OLD.jwk()
    for other in (
        {"use": "enc"},
        {"alg": "ES512"},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kid": ""},
    ):
        assert signed.read_keys(json.dumps({"keys": [usable | other]}).encode()) == {}
    assert list(signed.read_keys(json.dumps({"keys": [{"kid": 7}, usable]}).encode())) == ["old"]
    twice = [usable, NEW.jwk() | {"kid": "old"}, NEW.jwk()]
    assert list(signed.read_keys(json.dumps({"keys": twice}).encode())) == ["new"]


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("http://issuer.example", None),
        ("http://issuer.example", ENDPOINT),
        ("http://127.0.0.1:8000", None),
        ("http://localhost:8000", "https://s3.example"),
        ("http://127.0.0.1.evil.example", ENDPOINT),
        ("http://localhost@evil.example", ENDPOINT),
        ("https://issuer.example/?x=1", None),
        ("https://user:pass@issuer.example", None),
        ("ftp://issuer.example", None),
        ("issuer.example", None),
        ("https://issuer.example\n", None),
        ("", None),
    ],
)
def test_addresses_that_are_not_to_be_trusted(address: str, endpoint: str | None) -> None:
    with pytest.raises(Unavailable, match="JwtIssuer cannot be used"):
        Issuer(address, endpoint)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return paths


def test_an_issuer_by_https_and_one_whose_certificate_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate(tmp_path)
    with serving(LocalIssuer([OLD]), public, private) as local:
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch_bounded(f"{local.address}/keys", 5)
        with pytest.raises(Unavailable):
            Issuer(local.address).key("old")
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        caller = callers.authenticate(OLD.token(local.claims()), Issuer(local.address), RULES)
        assert caller.expires_at is not None
        assert caller.expires_at > time.time()
        wrong_name = local.address.replace("localhost", "127.0.0.1")
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch_bounded(f"{wrong_name}/keys", 5)
