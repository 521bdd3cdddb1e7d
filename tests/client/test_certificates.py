"""Certificates that are trusted, by the environment: what they are taken from, and what is said of what holds none."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from amaas import Client, NotConnected
from amaas.api import certificates
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.client.test_proxies import Proxy


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*certificates.VARIABLES, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    certificates._named.cache_clear()
    certificates._default.cache_clear()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that only who names it trusts; key.pem beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "ca.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def encrypted(authority: Path) -> Iterator[str]:
    """The address of a service that has that certificate."""
    Proxy.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.parents[1] / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # those who do not trust it hang up
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_of_certificates(
    encrypted: str, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f" {authority} ")
    with Client(encrypted, "amaas_x") as client:
        assert client.list_models() == [{"name": "behind"}]


@pytest.mark.parametrize("variable", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_folder_of_certificates(
    encrypted: str, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    subprocess.run(["openssl", "rehash", str(authority.parent)], check=True)
    monkeypatch.setenv(variable, str(authority.parent))
    with Client(encrypted, "amaas_x") as client:
        assert client.list_models() == [{"name": "behind"}]


def test_an_authority_that_is_not_trusted(encrypted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = r"not of one of the trusted authorities, now those that are public; SSL_CERT_FILE names a file of others"
    with Client(encrypted, "amaas_x") as client, pytest.raises(NotConnected, match=told):
        client.list_models()
    monkeypatch.setenv("SSL_CERT_DIR", "/etc")
    told = "now those in SSL_CERT_DIR"
    with Client(encrypted, "amaas_x") as client, pytest.raises(NotConnected, match=told):
        client.list_models()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SSL_CERT_FILE", "nowhere/ca.pem", r"SSL_CERT_FILE names 'nowhere/ca\.pem', which cannot be read \(No such"),
        ("SSL_CERT_FILE", "empty", "SSL_CERT_FILE names 'empty', which holds no certificate"),
        ("SSL_CERT_FILE", "text", "SSL_CERT_FILE names 'text', which holds no certificate"),
        ("SSL_CERT_FILE", "cut", "SSL_CERT_FILE names 'cut', which holds no certificate"),
        ("SSL_CERT_FILE", "folder", "SSL_CERT_FILE names 'folder', which"),
        ("SSL_CERT_DIR", "nowhere", "SSL_CERT_DIR names 'nowhere', which is no folder"),
        ("SSL_CERT_DIR", "text", "SSL_CERT_DIR names 'text', which is no folder"),
        ("SSL_CERT_DIR", "folder", "SSL_CERT_DIR names 'folder', which is empty"),
        ("REQUESTS_CA_BUNDLE", "nowhere", "REQUESTS_CA_BUNDLE names 'nowhere', which cannot be read"),
        ("REQUESTS_CA_BUNDLE", "folder", "REQUESTS_CA_BUNDLE names 'folder', which is empty"),
        ("CURL_CA_BUNDLE", "text", "CURL_CA_BUNDLE names 'text', which holds no certificate"),
        ("SSLKEYLOGFILE", "nowhere/keys", "SSLKEYLOGFILE names 'nowhere/keys', which cannot be written"),
    ],
)
def test_what_holds_no_certificates_is_named(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("machine\n")
    (tmp_path / "cut").write_bytes(authority.read_bytes()[:-60])
    monkeypatch.setenv(variable, value)
    with Client("https://127.0.0.1:1", "amaas_x") as client, pytest.raises(NotConnected, match=told):
        client.list_models()


def test_a_log_of_keys_is_not_taken_for_the_certificates(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "nowhere/keys")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with Client("https://127.0.0.1:1", "amaas_x") as client, pytest.raises(NotConnected, match=r"^SSLKEYLOGFILE names"):
        client.list_models()


def test_a_service_without_encryption_needs_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """As conda leaves the variable where the file is gone."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    assert client.list_models() == []


def test_the_first_variable_that_says_something_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "x")
    assert certificates.source() == "REQUESTS_CA_BUNDLE"
    monkeypatch.setenv("SSL_CERT_FILE", " ")
    assert certificates.source() == "REQUESTS_CA_BUNDLE"
    monkeypatch.setenv("SSL_CERT_FILE", "y")
    assert certificates.source() == "SSL_CERT_FILE"
