"""Profiles: what `amaas login` stores, where, for whom, and when it is used."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from amaas import AsyncClient, Client, NotConnected
from amaas.api import endpoint, profiles
from amaas.cli.app import main
from amaas.cli.login import token_id
from click.testing import CliRunner, Result

from tests.client.gateway import Service
from tests.client.test_transport import local


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AMAAS_URL", "AMAAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def amaas(*arguments: str, code: int = 0, **options: str) -> Result:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False, **options)
    assert result.exit_code == code, result.output
    return result


def store(name: str = "default", url: str = "https://prod/v1", token: str = "amaas_prod_x") -> Path:
    return profiles.store(profiles.Profile(name, url, token))


def test_login_is_used_by_what_comes_after(service: Service, tmp_path: Path) -> None:
    said = amaas("login", "--url", f"{service.api_url}/", input=f"{service.tokens['ann']}\n").stdout
    file = tmp_path / "settings" / "amaas" / "profiles.json"
    assert said == f"default is logged in to {service.api_url} as ann; stored in {file}\n"
    assert amaas("status").stdout.startswith("ready")
    with Client() as client:
        assert client.url == service.api_url and client.list_models() == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert service.tokens["ann"] not in said


def test_several_services(service: Service) -> None:
    amaas("login", "--url", service.api_url, "--profile", "test", "--token", service.tokens["bob"])
    amaas("ls", code=1)
    assert amaas("token", "self", "--profile", "test", "--json").stdout.count("bob")
    rows = json.loads(amaas("profiles", "--json").stdout)
    assert [(row["profile"], row["url"], row["used"]) for row in rows] == [("test", service.api_url, False)]
    assert rows[0]["token"] == token_id(service.tokens["bob"]) and service.tokens["bob"] not in str(rows)
    amaas("login", "--url", service.api_url, "--token", service.tokens["ann"])
    assert [line.split()[0] for line in amaas("profiles").stdout.splitlines()[1:]] == ["default", "test"]
    removed = amaas("logout").stdout
    assert f"its token stays valid until `amaas token revoke {token_id(service.tokens['ann'])}`" in removed
    amaas("ls", code=1)
    told = amaas("logout", code=1).stderr
    assert told == "amaas: there is no profile 'default', but test: `amaas login --profile default` makes it\n"
    amaas("logout", "--profile", "test")
    assert amaas("profiles").stdout == "no profiles yet: `amaas login` makes one\n"


def test_a_login_that_fails_stores_nothing(service: Service) -> None:
    told = amaas("login", "--url", service.api_url, "--token", "amaas_wrong_x", code=1).stderr
    assert told.startswith("amaas: nothing is stored: no valid token")
    amaas("login", "--url", "http://127.0.0.1:9", "--token", "amaas_a_b", code=1)
    amaas("login", "--url", "nonsense", "--token", "amaas_a_b", code=1)
    assert "give it by --token, or on standard input" in amaas("login", "--url", service.api_url, code=2).stderr
    assert "give it by --url" in amaas("login", "--token", "amaas_a_b", code=2).stderr
    assert not profiles.path().exists()


@pytest.mark.parametrize("page", ["/console", "/console/", "/docs", "/openapi.json"])
def test_the_address_of_a_page_is_taken_for_the_services(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    assert endpoint.resolve(f"https://api.example.org/v1{page}", "amaas_x")[0] == "https://api.example.org/v1"


def test_a_second_login_knows_the_address(service: Service) -> None:
    amaas("login", "--url", service.api_url, "--token", service.tokens["ann"])
    amaas("login", "--token", service.tokens["bob"])
    assert profiles.read("default") == ("default", service.api_url, service.tokens["bob"])


def test_what_is_said_goes_before_the_environment_before_profiles_before_a_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local(tmp_path)
    assert endpoint.resolve() == ("http://local:1/v1", "amaas_local")
    store()
    assert endpoint.resolve() == ("https://prod/v1", "amaas_prod_x")
    store("test", "https://test/v1", "amaas_test_x")
    monkeypatch.setenv("AMAAS_PROFILE", "test")
    assert endpoint.resolve() == ("https://test/v1", "amaas_test_x")
    monkeypatch.setenv("AMAAS_TOKEN", "amaas_env")
    assert endpoint.resolve() == ("https://test/v1", "amaas_env")
    monkeypatch.setenv("AMAAS_URL", "https://env/v1")
    assert endpoint.resolve() == ("https://env/v1", "amaas_env")
    assert endpoint.resolve(profile="default") == ("https://prod/v1", "amaas_prod_x")
    assert endpoint.resolve("https://prod/v2", profile="default") == ("https://prod/v2", "amaas_prod_x")
    assert endpoint.resolve(token="amaas_said", profile="default") == ("https://prod/v1", "amaas_said")
    assert Client(profile="default").url == "https://prod/v1"
    assert AsyncClient(profile="default").url == "https://prod/v1"


def test_the_token_of_a_profile_goes_to_its_address_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store()
    for url in ("https://elsewhere/v1", "http://prod/v1", "https://prod:444/v1", "https://prod.evil/v1"):
        for profile in (None, "default"):
            with pytest.raises(NotConnected, match="no token is configured"):
                endpoint.resolve(url, profile=profile)
    monkeypatch.setenv("AMAAS_URL", "https://elsewhere/v1")
    with pytest.raises(NotConnected, match="no token is configured"):
        endpoint.resolve()
    local(tmp_path, "https://elsewhere/v1", "amaas_its_own")
    assert endpoint.resolve() == ("https://elsewhere/v1", "amaas_its_own")


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store("test")
    for name in ("prod", "../x", "te st"):
        with pytest.raises(NotConnected, match=r"there is no profile .*, but test: `amaas login --profile"):
            endpoint.resolve(profile=name)
    monkeypatch.setenv("AMAAS_PROFILE", "prod")
    with pytest.raises(NotConnected, match="there is no profile 'prod'"):
        endpoint.resolve()
    monkeypatch.setenv("AMAAS_PROFILE", " ")
    with pytest.raises(NotConnected, match="no service is configured"):
        endpoint.resolve()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"profiles": []}', '{"profiles": {"default": 5}}', '{"profiles": {"default": {"url": 5}}}',
     '{"profiles": {"default": {"url": "x", "token": null}}}', "[" * 100_000, "\x00"],
)  # fmt: skip
def test_a_damaged_file_is_named(text: str) -> None:
    profiles.path().parent.mkdir(parents=True)
    profiles.path().write_text(text)
    with pytest.raises(NotConnected, match=r"profiles\.json is damaged: remove it, and `amaas login` again"):
        endpoint.resolve()


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    file = store()
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert endpoint.resolve() == ("https://prod/v1", "amaas_prod_x")


def test_where_there_is_no_profile_at_all() -> None:
    with pytest.raises(NotConnected, match=r"^there is no profile 'prod': `amaas login --profile prod` makes it$"):
        endpoint.resolve(profile="prod")


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    profiles.path().mkdir(parents=True)
    with pytest.raises(NotConnected, match=r"profiles\.json cannot be read"):
        profiles.read_all()
    profiles.path().rmdir()
    profiles.path().parent.rmdir()
    profiles.path().parent.write_text("in the way")
    assert profiles.read_all() == {}
    with pytest.raises(NotConnected, match=r"profiles\.json cannot be written"):
        store()


def test_an_open_file_becomes_the_owners_alone() -> None:
    file = store()
    file.chmod(0o644)
    old = os.umask(0)
    try:
        store("test")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(profiles.read_all()) == ["default", "test"]
    assert [one.name for one in file.parent.iterdir()] == ["profiles.json"]


@pytest.mark.parametrize(
    ("platform", "environment", "place"),
    [
        ("linux", {}, "HOME/.config"),
        ("linux", {"XDG_CONFIG_HOME": "/etc/own"}, "/etc/own"),
        ("linux", {"XDG_CONFIG_HOME": "relative"}, "HOME/.config"),
        ("darwin", {}, "HOME/Library/Application Support"),
        ("darwin", {"XDG_CONFIG_HOME": "/etc/own"}, "/etc/own"),
        ("win32", {"APPDATA": "/users/ann/roaming"}, "/users/ann/roaming"),
        ("win32", {}, "HOME/AppData/Roaming"),
    ],
)
def test_the_usual_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, environment: dict[str, str], place: str
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("APPDATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert profiles.path() == Path(place.replace("HOME", str(tmp_path))) / "amaas" / "profiles.json"


def test_the_part_of_a_token_that_may_be_shown() -> None:
    assert token_id("amaas_f7ff_a_b-c") == "f7ff"
    assert token_id("secret") is None and token_id("other_a_b") is None
