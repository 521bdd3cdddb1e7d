"""Proxies by the environment: which one an address goes through, and what is said of one that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from amaas import Client, NotConnected
from amaas.api import proxies

from tests.client.gateway import Service
from tests.client.test_ending import PLAIN

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("no_proxy", "host", "excluded"),
    [
        ("*", "example.com", True),
        ("a.org,*", "example.com", True),
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", True),
        ("example.com", "wwwexample.com", False),
        (".example.com", "example.com", True),
        ("*.example.com", "www.example.com", True),
        ("EXAMPLE.com.", "Example.COM", True),
        ("example.com:8080", "example.com", False),
        ("example.com:443", "example.com", True),
        ("https://example.com", "example.com", True),
        ("http://example.com", "example.com", False),
        (" a.org \t example.com\n", "example.com", True),
        ("a.org , example.com", "example.com", True),
        ("localhost,127.0.0.1,[::1]", "::1", True),
        ("[::1]:443", "::1", True),
        ("[::1]:8080", "::1", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("localhost", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.10", False),
        ("127.0.0.1:443", "127.0.0.1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("[fe80::]/10", "fe80::1", True),
        ("fd07:b51a:cc66:f0::/64", "fd07:b51a:cc66:f0::5", True),
        ("fd07:b51a:cc66:f0::/64", "127.0.0.1", False),
        ("10.0.0.0/99,[,:,/,::,fe80::/a", "10.0.0.1", False),
        ("", "example.com", False),
        (",, ,", "example.com", False),
    ],
)
def test_what_is_reached_without(no_proxy: str, host: str, excluded: bool) -> None:
    assert proxies.is_excluded(no_proxy, "https", host, 443) is excluded


@pytest.mark.parametrize(
    ("environment", "source"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://q:1"}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"ALL_PROXY": "p:1"}, "ALL_PROXY"),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "  http://p:1\n"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": "nonsense://", "NO_PROXY": "example.com"}, None),
    ],
)
def test_which_variable_counts(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], source: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxies.proxy_for("https", "example.com", None)
    assert (proxy and proxy.source) == source
    assert proxy is None or proxy.url in ("http://p:1", "http://a:1")


def test_a_header_of_a_cgi_call_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://p:1")
    assert proxies.proxy_for("http", "example.com", None)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxies.proxy_for("http", "example.com", None) is None


class Proxy(BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        body = b'{"models": [{"name": "behind"}], "next": null}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def proxy() -> Iterator[str]:
    Proxy.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://user:p%40ss@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_call_goes_through_the_proxy(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with Client("http://amaas.invalid/v1", "amaas_x") as client:
        assert client.list_models() == [{"name": "behind"}]
    assert Proxy.seen == ["http://amaas.invalid/v1/models"]


@pytest.mark.parametrize("no_proxy", ["*", "127.0.0.1", "127.0.0.0/8", "localhost 127.0.0.1,[::1],fe80::/10"])
@pytest.mark.parametrize(
    "value", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9", "http://u:p#ss@127.0.0.1:9", "://", "x y"]
)
def test_a_proxy_that_is_not_needed_is_not_looked_at(
    client: Client, monkeypatch: pytest.MonkeyPatch, value: str, no_proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert client.list_models() == []


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("socks5://127.0.0.1:9", r"ALL_PROXY names a SOCKS proxy.*pip install 'httpx\[socks\]'"),
        ("socks://127.0.0.1:9", r"ALL_PROXY names a SOCKS proxy.*pip install 'httpx\[socks\]'"),
        ("ftp://127.0.0.1:9", "ALL_PROXY names a proxy of the kind 'ftp'"),
        ("http://user:p#ss@127.0.0.1:9", r"ALL_PROXY is not the address of a proxy: .*# is %23"),
        ("http://[::1", "ALL_PROXY is not the address of a proxy"),
        ("http://h:port", "ALL_PROXY is not the address of a proxy"),
        ("h:99999", "ALL_PROXY is not the address of a proxy"),
        ("two words", "ALL_PROXY is not the address of a proxy"),
        ("http://", "ALL_PROXY is not the address of a proxy"),
        ("http://a..b:1", "ALL_PROXY is not the address of a proxy"),
        ("http://127.0.0.1:9", r"does not answer .*through the proxy that ALL_PROXY names; NO_PROXY=127\.0\.0\.1"),
        ("http://127.0.0.1:9/path?x#y", "through the proxy that ALL_PROXY names"),
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(NotConnected, match=told) as error:
        client.list_models()
    assert "p#ss" not in str(error.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"NO_PROXY": "localhost,127.0.0.1,[::1]"},
        {"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"},
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"HTTP_PROXY": "http://user:p#ss@127.0.0.1:9"},
    ],
)
def test_no_variable_ends_a_command_in_a_traceback(service: Service, extra: dict[str, str]) -> None:
    env = {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"], **PLAIN} | extra
    done = subprocess.run([sys.executable, "-m", "amaas", "ls"], env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.startswith("amaas: ") and done.stderr.count("\n") == 1
        assert next(name for name in extra if name in done.stderr)
