"""Signatures: our verification beside OpenSSL's, keys in files and in KMS, packages signed for OpenSSF's tool."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from shared.errors import Unavailable
from shared.signing import p256
from shared.signing.base import fingerprint
from shared.signing.kms import KmsKey
from shared.signing.local import LocalKey
from shared.signing.model_signing import SIGNATURE_FILE, pem, sign


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LocalKey:
    return LocalKey.create(tmp_path_factory.mktemp("key") / "key.pem")


def test_agrees_with_openssl() -> None:
    rng = random.Random(7)
    for n in range(40):
        private = ec.derive_private_key(rng.randrange(1, p256.N), ec.SECP256R1())
        message = rng.randbytes(n)
        key = LocalKey(private)
        signature = key.sign(message)
        assert p256.verify(key.public, message, signature)
        assert not p256.verify(key.public, message + b"\0", signature)


@pytest.mark.parametrize("secret", [1, 2, 3, p256.N - 1, p256.N - 2])
def test_keys_at_the_edges_of_the_group(secret: int) -> None:
    """Keys at which adding two points means doubling one, or meets the point at infinity."""
    key = LocalKey(ec.derive_private_key(secret, ec.SECP256R1()))
    for n in range(8):
        message = str(n).encode()
        assert p256.verify(key.public, message, key.sign(message))


def test_any_changed_byte_is_noticed(key: LocalKey) -> None:
    signature = key.sign(b"message")
    for position in range(len(signature)):
        for bit in (1, 0x80):
            changed = bytearray(signature)
            changed[position] ^= bit
            assert not p256.verify(key.public, b"message", bytes(changed)), position
    for position in range(len(key.public)):
        changed = bytearray(key.public)
        changed[position] ^= 1
        assert not p256.verify(bytes(changed), b"message", signature), position


def encoded(r: int, s: int) -> bytes:
    return utils.encode_dss_signature(r, s)


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (p256.N, 1), (1, p256.N), (p256.N + 1, p256.N + 1), (p256.P, 1), (1, 1)]
)
def test_numbers_out_of_range(key: LocalKey, r: int, s: int) -> None:
    assert not p256.verify(key.public, b"message", encoded(r, s))


def test_an_r_beyond_the_order_is_no_way_around_the_reduction(key: LocalKey) -> None:
    r, s = utils.decode_dss_signature(key.sign(b"message"))
    assert not p256.verify(key.public, b"message", encoded(r + p256.N, s))
    assert p256.verify(key.public, b"message", encoded(r, p256.N - s))  # the standard knows both
    assert p256.low_s(encoded(r, s)) == p256.low_s(encoded(r, p256.N - s)) == encoded(r, min(s, p256.N - s))
    assert p256.low_s(b"nonsense") == b"nonsense"


@pytest.mark.parametrize("length", range(12))
def test_cut_and_padded_signatures(key: LocalKey, length: int) -> None:
    signature = key.sign(b"message")
    for damaged in (signature[:length], signature + bytes(length + 1), signature[:-length] if length else b""):
        assert not p256.verify(key.public, b"message", damaged)


def test_other_curves_and_points_off_the_curve(key: LocalKey) -> None:
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    for other in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        assert p256.point(other.public_key().public_bytes(*der)) is None
    off = key.public[:-1] + bytes([key.public[-1] ^ 1])
    assert p256.point(off) is None
    assert not p256.verify(off, b"message", key.sign(b"message"))
    assert p256.point(p256.SPKI + p256.P.to_bytes(32) + bytes(32)) is None


def test_the_message_is_hashed_with_sha256(key: LocalKey) -> None:
    digest = hashlib.sha256(b"message").digest()
    signature = key._private.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    assert p256.verify(key.public, b"message", signature)


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = LocalKey.create(path)
    assert path.stat().st_mode & 0o077 == 0
    assert LocalKey.load(path).public == key.public
    assert fingerprint(key.public) != fingerprint(LocalKey.create(tmp_path / "other.pem").public)
    with pytest.raises(FileExistsError):
        LocalKey.create(path)


def test_files_that_hold_no_key(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    with pytest.raises(Unavailable, match="cannot be read"):
        LocalKey.load(wrong)
    wrong.write_text("no key")
    with pytest.raises(Unavailable, match="cannot be read"):
        LocalKey.load(wrong)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    wrong.write_bytes(ec.generate_private_key(ec.SECP384R1()).private_bytes(*pem))
    with pytest.raises(Unavailable, match="not a P-256 key"):
        LocalKey.load(wrong)


def test_a_key_in_the_key_service(moto_endpoint: str) -> None:
    import boto3

    kms = boto3.client("kms", endpoint_url=moto_endpoint, region_name="us-east-1")
    metadata = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    key = KmsKey(metadata["Arn"], moto_endpoint)
    # moto hashes digests once more; the embedded cloud, which all of tests/cloud signs with, does as AWS does
    assert p256.verify(key.public, hashlib.sha256(b"message").digest(), key.sign(b"message"))
    with pytest.raises(Unavailable, match="signing key does not answer"):
        KmsKey("no-such-key", moto_endpoint).sign(b"message")


@pytest.fixture
def package(tmp_path: Path, key: LocalKey) -> tuple[Path, Path]:
    """A package's folder with its signature inside, and the public key's file."""
    folder, public = tmp_path / "digits", tmp_path / "public.pem"
    folder.mkdir()
    files = {"model.onnx": b"weights", "amaas.json": b"{}"}
    for name, body in files.items():
        (folder / name).write_bytes(body)
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    (folder / SIGNATURE_FILE).write_bytes(sign(key, "digits", digests))
    public.write_bytes(pem(key.public))
    return folder, public


def verify_package(package: tuple[Path, Path]) -> subprocess.CompletedProcess[str]:
    """Verify with the public key and OpenSSF's tool, as anyone can."""
    folder, public = package
    tool = [sys.executable, "-m", "model_signing", "verify", "key", str(folder), "--public_key", str(public)]
    command = [*tool, "--signature", str(folder / SIGNATURE_FILE)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_openssf_tool_accepts_our_packages(package: tuple[Path, Path]) -> None:
    verification = verify_package(package)
    assert verification.returncode == 0, verification.stdout + verification.stderr
    assert "succeeded" in verification.stdout


@pytest.mark.parametrize("damage", ["another model", "another file", "another key"])
def test_the_openssf_tool_refuses_what_was_changed(package: tuple[Path, Path], tmp_path: Path, damage: str) -> None:
    folder, public = package
    if damage == "another model":
        (folder / "model.onnx").write_bytes(b"weightz")
    elif damage == "another file":
        (folder / "extra.bin").write_bytes(b"x")
    else:
        public.write_bytes(pem(LocalKey.create(tmp_path / "other.pem").public))
    verification = verify_package(package)
    assert verification.returncode != 0
    assert "failed" in (verification.stdout + verification.stderr).lower()
