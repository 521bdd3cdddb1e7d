"""Signed records and heads: who may be believed."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import utils

from ops.resign import re_sign
from shared import keys
from shared.errors import Unavailable
from shared.registry import aliases, catalog, models, verify
from shared.registry import log as logs
from shared.registry.log import Log
from shared.registry.state import Target
from shared.signing import p256
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.registry.conftest import ANN, push


@pytest.fixture
def key(tmp_path: Path) -> LocalKey:
    return LocalKey.create(tmp_path / "key.pem")


@pytest.fixture
def other(tmp_path: Path) -> LocalKey:
    return LocalKey.create(tmp_path / "other.pem")


@pytest.fixture
def signed(key: LocalKey) -> Log:
    log = Log(MemoryStore(), signer=key, trusted=[key.public])
    push(log, "m", 3)
    aliases.move(log, "m", "production", Target(version=2), ANN)
    return log


def reader(log: Log, *trusted: bytes) -> Log:
    return Log(log.store, trusted=trusted)


def test_readers_need_the_public_half_alone(signed: Log, key: LocalKey, other: LocalKey) -> None:
    assert models.get(reader(signed, key.public), "m").number(None) == 2
    assert models.get(reader(signed, other.public, key.public), "m").number(None) == 2
    assert models.get(reader(signed), "m").number(None) == 2
    assert verify.verify(reader(signed, key.public), "m").verified
    with pytest.raises(Unavailable, match="does not trust"):
        models.get(reader(signed, other.public), "m")


def test_a_forged_head_is_not_believed(signed: Log, key: LocalKey) -> None:
    body = msgspec.json.decode(signed.store.get(keys.head("m")).body)
    body["state"]["aliases"]["production"]["version"] = 1
    signed.store.put(keys.head("m"), msgspec.json.encode(body))
    assert models.get(reader(signed), "m").number(None) == 1  # whoever trusts no key believes it
    assert models.get(reader(signed, key.public), "m").number(None) == 2


def test_an_old_head_is_rolled_forward(signed: Log, key: LocalKey) -> None:
    old = signed.store.get(keys.head("m")).body
    aliases.move(signed, "m", "production", Target(version=3), ANN)
    signed.store.put(keys.head("m"), old)
    assert models.get(reader(signed, key.public), "m").number(None) == 3


def test_whoever_can_write_to_the_bucket_cannot_move_an_alias(signed: Log, key: LocalKey, other: LocalKey) -> None:
    for intruder in (Log(signed.store), Log(signed.store, signer=other)):
        moved = aliases.move(intruder, "m", "production", Target(version=1), ANN)
        with pytest.raises(Unavailable, match="not to be trusted"):
            models.get(reader(signed, key.public), "m")
        problems = verify.verify(reader(signed, key.public), "m").problems
        assert {problem.revision for problem in problems} == {moved.revision}
        signed.store.delete(keys.log_record("m", moved.revision))
        signed.store.delete(keys.head("m"))
    assert models.get(reader(signed, key.public), "m").number(None) == 2


def test_a_record_of_another_model_does_not_pass(signed: Log, key: LocalKey) -> None:
    push(signed, "n", 1)
    stolen = signed.store.get(keys.log_record("n", 1)).body
    signed.store.put(keys.log_record("victim", 1), stolen)
    with pytest.raises(Unavailable, match="signature is wrong"):
        models.get(reader(signed, key.public), "victim")
    assert "victim" not in catalog.list_models(reader(signed, key.public))


def test_a_signature_has_one_form(signed: Log, key: LocalKey) -> None:
    body = signed.store.get(keys.log_record("m", 4)).body
    signature = logs.decode(body).signature
    r, s = utils.decode_dss_signature(base64.b64decode(signature.signature))
    twin = base64.b64encode(utils.encode_dss_signature(r, p256.N - s)).decode()
    stored = signed.store.get(keys.head("m")).body
    signed.store.put(keys.head("m"), stored.replace(signature.signature.encode(), twin.encode()))
    head = models.get(reader(signed, key.public), "m")
    assert head.digest == logs.digest(body)  # from the log: the exchanged head was not believed
    signed.store.put(keys.log_record("m", 4), body.replace(signature.signature.encode(), twin.encode()))
    problems = verify.verify(reader(signed, key.public), "m").problems
    assert "normal form" in problems[0].what


def test_every_record_is_signed_once(signed: Log, key: LocalKey, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    sign = key.sign
    monkeypatch.setattr(key, "sign", lambda message: made.append(message) or sign(message))
    aliases.move(signed, "m", "production", Target(version=1), ANN)
    assert len(made) == 1
    records = [logs.decode(signed.store.get(keys.log_record("m", n)).body) for n in range(1, 6)]
    assert all(record.signature for record in records)


def test_a_key_that_does_not_answer_changes_nothing(
    signed: Log, key: LocalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(message: bytes) -> bytes:
        raise Unavailable("the signing key does not answer; nothing was changed, try again")

    monkeypatch.setattr(key, "sign", away)
    with pytest.raises(Unavailable, match="nothing was changed"):
        aliases.move(signed, "m", "production", Target(version=1), ANN)
    assert models.get(signed, "m").revision == 4


def test_a_new_key_signs_what_an_old_one_signed(signed: Log, other: LocalKey) -> None:
    assert re_sign(signed.store, other, "rotation") == [("m", 5)]
    assert re_sign(signed.store, other, "rotation") == []
    assert models.get(reader(signed, other.public), "m").number(None) == 2


# ---- what is signed are stored bytes, and the signature stands at their end


def with_member(body: bytes, member: bytes) -> bytes:
    """A record with other bytes where its signature is."""
    return body[: body.rindex(b',"seal":')] + member + b"}"


def misplaced(body: bytes) -> list[bytes]:
    """The same record to whoever decodes it, in other bytes."""
    content, seal = body[: body.rindex(b',"seal":')], body[body.rindex(b'"seal":') : -1]
    plain, stranger = msgspec.json.decode(body)["seal"], b'"seal":{"key":"","content":"","state":"","signature":""}'
    return [
        content + b"," + seal + b" }",
        content + b", " + seal + b"}",
        content + b"," + seal.replace(b":", b": ", 1) + b"}",
        body + b"\n",
        b"{" + seal + b"," + content[1:] + b"}",
        content + b"," + seal + b',"card":null}',
        content + b"," + stranger + b"," + seal + b"}",
        content + b"," + seal + b"," + seal + b"}",
        with_member(body, b',"seal":' + msgspec.json.encode(dict(reversed(plain.items())))),
        with_member(body, b',"seal":' + msgspec.json.encode(plain | {"more": 1})),
        with_member(body, b',"seal":' + msgspec.json.encode(plain).replace(b'"key"', b'"\\u006bey"')),
        content.replace(b'"by":"ann"', b'"by":"bob","by":"ann"') + b"," + seal + b"}",
        content.replace(b'"by":"ann"', b'"by": "ann"') + b"," + seal + b"}",
    ]


def test_a_record_is_believed_in_the_bytes_that_were_signed_only(signed: Log, key: LocalKey) -> None:
    body, head = signed.store.get(keys.log_record("m", 4)).body, signed.store.get(keys.head("m")).body
    for other in misplaced(body):
        assert logs.decode(other).revision == logs.decode(body).revision
        signed.store.put(keys.log_record("m", 4), other)
        signed.store.delete(keys.head("m"))
        with pytest.raises(Unavailable, match="not to be trusted"):
            models.get(reader(signed, key.public), "m")
        assert not verify.verify(reader(signed, key.public), "m").verified, other
        signed.store.put(keys.log_record("m", 4), body)
        signed.store.put(keys.head("m"), head.replace(body, other.strip()))
        assert models.get(reader(signed, key.public), "m").digest == logs.digest(body), other
        assert other.strip() in signed.store.get(keys.head("m")).body


def test_a_signature_of_another_record_or_of_none_is_not_believed(signed: Log, key: LocalKey) -> None:
    body, before = (signed.store.get(keys.log_record("m", revision)).body for revision in (4, 3))
    signed.store.delete(keys.head("m"))
    members = [before[before.rindex(b',"seal":') : -1], b"", b',"seal":null', b',"seal":{}', b',"seal":1']
    for cut in (1, 10, len(body) // 2):
        signed.store.put(keys.log_record("m", 4), body[:-cut])
        with pytest.raises(Unavailable):
            models.get(reader(signed, key.public), "m")
    for member in members:
        signed.store.put(keys.log_record("m", 4), with_member(body, member))
        with pytest.raises(Unavailable, match=r"not to be trusted|damaged"):
            models.get(reader(signed, key.public), "m")
        assert verify.verify(reader(signed, key.public), "m").problems[0].revision == 4


def test_a_second_member_is_found_where_nobody_signs() -> None:
    log = Log(MemoryStore())
    push(log, "m", 2)
    body = log.store.get(keys.log_record("m", 2)).body
    log.store.put(keys.log_record("m", 2), body.replace(b'"by":"ann"', b'"by":"bob","by":"ann"'))
    log.store.delete(keys.head("m"))
    [problem] = verify.verify(log, "m").problems
    assert problem.what == "the record is not written as this service writes records"
