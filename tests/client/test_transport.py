"""Finding the service, repeating what may be repeated, and saying what went wrong."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from amaas import ApiError, Client, NotConnected
from amaas.api.endpoint import resolve

from shared.registry.log import Log
from tests.client.gateway import Service, Trouble
from tests.client.models import PNG, served


def local(folder: Path, url: str = "http://local:1/v1", token: str = "amaas_local") -> None:
    (folder / ".local").mkdir(parents=True)
    (folder / ".local" / "amaas.json").write_text(json.dumps({"api_url": url, "token": token}))


def test_flags_go_before_the_environment_before_the_nearest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local(tmp_path)
    local(tmp_path / "inner", "http://localhost:2/v1/", "amaas_inner")
    (tmp_path / "inner" / "deep").mkdir()
    assert resolve() == ("http://local:1/v1", "amaas_local")
    monkeypatch.chdir(tmp_path / "inner" / "deep")
    assert resolve() == ("http://localhost:2/v1", "amaas_inner")
    monkeypatch.setenv("AMAAS_TOKEN", "amaas_env\n")
    assert resolve() == ("http://localhost:2/v1", "amaas_env")
    monkeypatch.setenv("AMAAS_URL", "https://env/v1/")
    assert resolve() == ("https://env/v1", "amaas_env")
    assert resolve("http://flag", "amaas_flag") == ("http://flag", "amaas_flag")


def test_the_local_token_is_sent_to_the_local_service_only(tmp_path: Path) -> None:
    local(tmp_path)
    assert resolve("http://local:1/v1/") == ("http://local:1/v1", "amaas_local")
    with pytest.raises(NotConnected, match="no token is configured: give --token, set AMAAS_TOKEN"):
        resolve("http://elsewhere/v1")


def test_nothing_known_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotConnected, match="`amaas login`, give --url, set AMAAS_URL, or run `make run`"):
        resolve()
    local(tmp_path)
    (tmp_path / ".local" / "amaas.json").write_text("{")
    with pytest.raises(NotConnected, match="run `make run` again"):
        resolve()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:4566", "http:// or https://"),
        ("ftp://host", "http:// or https://"),
        ("http://", "http:// or https://"),
        ("nonsense", "http:// or https://"),
        ("host/v1", "http:// or https://"),
        ("http://[::1", r"'http://\[::1' is not the address of a service: invalid IPv6 URL"),
        ("http://::1/v1", "port"),
        ("http://127.0.0.1:abc/x", "abc"),
        ("http://host:99999", "out of range"),
        ("http://host:-1", "port"),
        ("http://two words/v1", "blanks"),
        ("http://host/v1\x00", "blanks"),
        ("http://host/v1?x=1", r"behind a \?"),
        ("http://host/v1#x", r"behind a \? or #"),
        ("http://host/v1?", r"behind a \?"),
        ("https://ann:secret@host/v1", r"^'https://…@host/v1' is not .*: it names a user"),
        ("ann:secret@host", "http:// or https://"),
        ("http://a..b/v1", r"'a\.\.b' is no name of a host"),
        ("http://./v1", r"'\.' is no name of a host"),
        ("http://xn--/v1", "'xn--' is no name of a host"),
        (f"http://{'a' * 64}.example/v1", "is no name of a host"),
    ],
)
def test_an_address_that_is_none(url: str, reason: str) -> None:
    with pytest.raises(NotConnected, match=reason) as error:
        resolve(url, "amaas_x")
    assert "is not the address of a service: " in str(error.value) and "AMAAS_URL" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["http://[::1]:8080/v1", "HTTPS://Host/v1/", " http://host/v1\n", "http://127.0.0.1"])
def test_an_address_that_is_one(url: str) -> None:
    assert resolve(url, "amaas_x")[0] == url.strip().rstrip("/")


def test_a_blank_address_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMAAS_URL", " ")
    with pytest.raises(NotConnected, match="no service is configured"):
        resolve(token="amaas_x")


@pytest.mark.parametrize("access", [{"api_url": 5}, {"api_url": "http://h", "token": ["x"]}, [], None])
def test_a_local_file_of_other_things(tmp_path: Path, access: object) -> None:
    local(tmp_path)
    (tmp_path / ".local" / "amaas.json").write_text(json.dumps(access))
    with pytest.raises(NotConnected):
        resolve()


@pytest.mark.parametrize("token", ["two words", "amaas_ü", "amaas_\x00"])
def test_a_token_that_is_none_is_not_repeated_in_the_message(token: str) -> None:
    with pytest.raises(NotConnected, match="the token is malformed") as error:
        resolve("http://host", token)
    assert token not in str(error.value)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ('"amaas_secret"', "quotes around it"),
        ("<amaas_secret>", "quotes around it"),
        ("Bearer amaas_secret", "behind Bearer"),
        ("Authorization: Bearer amaas_secret", "behind Bearer"),
        ("\ufeffamaas_secret", "byte order mark"),
        ("amaas_secret amaas_secret", "blanks"),
    ],
)
def test_a_token_that_was_copied_with_something_else(token: str, told: str) -> None:
    with pytest.raises(NotConnected, match=f"the token is malformed: .*{told}") as error:
        resolve("http://host", token)
    assert "secret" not in str(error.value).replace("<secret>", "")


@pytest.mark.parametrize("token", ["", " ", "\n\t"])
def test_a_blank_token_is_none_at_all(token: str) -> None:
    with pytest.raises(NotConnected, match="no token is configured"):
        resolve("http://host", token)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_local_file_may_begin_with_a_byte_order_mark(tmp_path: Path, mark: bytes) -> None:
    local(tmp_path)
    file = tmp_path / ".local" / "amaas.json"
    file.write_bytes(mark + file.read_bytes())
    assert resolve() == ("http://local:1/v1", "amaas_local")
    file.write_text("[" * 100_000)
    with pytest.raises(NotConnected, match=r"cannot be read .*thousands of them"):
        resolve()


def test_a_throttled_call_waits_as_long_as_it_is_told(client: Client, service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 429, headers={"Retry-After": "1"})]
    start = time.monotonic()
    assert client.list_models() == []
    assert time.monotonic() - start >= 1
    assert len(service.received("GET", "/models$")) == 2


def test_retry_after_may_be_a_date(client: Client, service: Service) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    service.trouble = [Trouble("GET", "/tokens", 503, headers={"Retry-After": soon})]
    start = time.monotonic()
    assert client.list_tokens()
    assert time.monotonic() - start > 0.5


def test_a_wait_that_is_too_long_is_left_to_the_caller(client: Client, service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 429, headers={"Retry-After": "3600"})]
    with pytest.raises(ApiError, match="not now") as error:
        client.list_models()
    assert error.value.status == 429
    assert len(service.calls) == 1


@pytest.mark.parametrize("status", [502, 503, 504, 0])
def test_what_may_be_repeated_is_repeated(client: Client, service: Service, log: Log, status: int) -> None:
    served(log)
    service.trouble = [Trouble("GET", "/models/sum$", status, times=2), Trouble("POST", "predict", status, times=2)]
    assert client.get_model("sum")["name"] == "sum"
    assert client.predict("digits", PNG)["version"] == 1
    assert len(service.received("POST", "predict")) == 3


def test_a_token_is_not_made_twice(client: Client, service: Service) -> None:
    before = len(client.list_tokens())
    service.trouble = [Trouble("POST", "/tokens", 503)]
    assert client.create_token("ci", ["infer"])["name"] == "ci"
    service.trouble = [Trouble("POST", "/tokens", 0, after=True)]
    with pytest.raises(ApiError, match="rotate the token"):  # it was created, and its secret is lost
        client.create_token("ci", ["infer"])
    assert len(service.received("POST", "/tokens")) == 4
    assert len(client.list_tokens()) == before + 2


def test_a_throttled_post_was_not_carried_out_and_may_come_again(client: Client, service: Service) -> None:
    service.trouble = [Trouble("POST", "/tokens", 429)]
    assert client.create_token("ci", ["infer"])["name"] == "ci"


def test_attempts_end(client: Client, service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 503, times=99)]
    with pytest.raises(ApiError, match="not now"):
        client.list_models()
    assert len(service.calls) == 4


def test_the_services_own_words_are_the_message(client: Client) -> None:
    with pytest.raises(ApiError, match=r"^there is no model 'nope'") as error:
        client.get_model("nope")
    assert error.value.status == 404


def test_an_unknown_token(service: Service) -> None:
    with Client(service.api_url, "amaas_other") as client, pytest.raises(ApiError, match="no valid token") as e:
        client.list_models()
    assert e.value.status == 401


def test_nobody_there(service: Service) -> None:
    service.close()
    message = r"does not answer.*is it up \(`make run`\), is the address right \(--url, AMAAS_URL\)"
    with Client(service.api_url, service.tokens["ann"]) as client, pytest.raises(NotConnected, match=message):
        client.list_models()


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"<html>\n no such page"), (500, b'{"x": 1}')])
def test_somebody_else_is_there(client: Client, service: Service, status: int, body: bytes) -> None:
    service.trouble = [Trouble("GET", "/models$", status, body)]
    with pytest.raises((ApiError, NotConnected), match="is the address right"):
        client.list_models()


def test_a_slow_answer(service: Service) -> None:
    service.trouble = [Trouble("POST", "/tokens", 200, delay=1, times=9)]
    with (
        Client(service.api_url, service.tokens["ann"], timeout=0.1) as client,
        pytest.raises(NotConnected, match="took too long to answer"),
    ):
        client.create_token("ci", ["infer"])


def test_a_time_out_is_of_all_attempts(service: Service, log: Log) -> None:
    served(log)
    service.trouble = [Trouble("GET", "/models$", 503, delay=0.3, times=9)]
    start = time.monotonic()
    with (
        Client(service.api_url, service.tokens["ann"], timeout=0.5) as client,
        pytest.raises(NotConnected, match="long"),
    ):
        client.list_models()
    assert time.monotonic() - start < 1.5 and len(service.calls) == 2


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("predict", ("m", {})),
        ("explain", ("m", {})),
        ("infer", ("m", {})),
        ("rerank", ("m", "q", ["d"])),
        ("chat", ("m", [])),
        ("complete", ("m", "")),
        ("list_models", ()),
    ],
)
def test_what_took_too_long_is_not_asked_again(service: Service, verb: str, given: tuple[object, ...]) -> None:
    service.trouble = [Trouble("", "", 200, delay=2, times=9)]
    arguments = {
        "predict": ({},),
        "explain": ({},),
        "infer": ({},),
        "rerank": ("q", ["d"]),
        "chat": ([],),
        "complete": ("",),
    }
    given = ("m", *arguments[verb]) if verb in arguments else ()
    start = time.monotonic()
    with (
        Client(service.api_url, service.tokens["ann"], timeout=0.3) as client,
        pytest.raises(NotConnected, match="long"),
    ):
        getattr(client, verb)(*given)
    assert time.monotonic() - start < 1.2 and len(service.calls) == 1


def test_a_pause_that_goes_beyond_the_time_is_left_to_the_caller(service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 429, headers={"Retry-After": "3"})]
    start = time.monotonic()
    with Client(service.api_url, service.tokens["ann"], timeout=1) as client, pytest.raises(ApiError, match="not now"):
        client.list_models()
    assert time.monotonic() - start < 1


def test_an_answer_that_is_packed_wrongly(client: Client, service: Service) -> None:
    service.trouble = [Trouble("GET", "/models$", 200, b"no gzip", {"Content-Encoding": "gzip"}, times=9)]
    with pytest.raises(NotConnected, match="does not answer"):
        client.list_models()
