"""Which pages of other origins may read which answers: of successes, of errors, of streams."""

from __future__ import annotations

from typing import Any

import pytest

from api.document import document
from shared.entry import cors, streamed
from shared.entry.http import Request, Response, Routes
from shared.errors import NotFound
from tests.support import Answer, call

PAGE, OTHER = "https://page.example", "https://other.example"
ALLOW, EXPOSE = "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"


def handler(allowed: str) -> Routes:
    routes = Routes("test-cors")
    routes.origins = cors.Origins(allowed)

    @routes.route("GET", "/fine", id="fine", scope=None)
    def fine(request: Request) -> Response:
        return Response({}, headers={"Vary": "Accept-Encoding"})

    @routes.route("GET", "/refused", id="refused", scope=None)
    def refused(request: Request) -> None:
        raise NotFound("there is none")

    @routes.route("GET", "/bug", id="bug", scope=None)
    def bug(request: Request) -> None:
        raise ZeroDivisionError

    @routes.route("GET", "/parts", id="parts", scope=None)
    def parts(request: Request) -> Response:
        return Response(None, headers={"Content-Type": "text/plain"}, parts=iter([b"a", b"b"]))

    @routes.route("GET", "/breaks", id="breaks", scope=None)
    def breaks(request: Request) -> Response:
        return Response(None, parts=(1 // (1 - number) * b"x" for number in range(3)))

    return routes


def ask(allowed: str, path: str, **headers: str) -> Answer:
    return call(handler(allowed), "GET", path, headers=headers)


PATHS = {"/fine": 200, "/refused": 404, "/nothing": 404, "/bug": 500, "/parts": 200, "/breaks": 500}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["Origin", "origin"])
def test_a_page_of_the_list_may_read_every_answer(path: str, name: str) -> None:
    answer = ask(f"{OTHER},{PAGE}", path, **{name: PAGE})
    assert answer.status == PATHS[path]
    assert answer.headers[ALLOW] == PAGE
    assert "Origin" in answer.headers["Vary"].split(", ")
    assert "x-request-id" in answer.headers[EXPOSE]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin", [OTHER, "null", f"{PAGE}.evil.example", "http://page.example", "HTTPS://PAGE.EXAMPLE"]
)
def test_another_may_not_and_no_cache_mixes_them_up(path: str, origin: str) -> None:
    answer = ask(PAGE, path, Origin=origin)
    assert answer.status == PATHS[path]
    assert ALLOW not in answer.headers and EXPOSE not in answer.headers
    assert "Origin" in answer.headers["Vary"].split(", ")


@pytest.mark.parametrize("path", PATHS)
def test_all_may_read_where_all_are_allowed_and_none_where_none_is(path: str) -> None:
    assert ask("*", path, Origin="null").headers[ALLOW] == "*"
    assert ask("*", path).headers[ALLOW] == "*", "also what a cache gives to a page later"
    assert not {ALLOW, EXPOSE, "Vary"} & {*ask("", path, Origin=PAGE).headers} - {"Vary"}


def test_what_varies_already_goes_on_to_vary() -> None:
    assert ask(PAGE, "/fine", Origin=PAGE).headers["Vary"] == "Accept-Encoding, Origin"
    assert ask("", "/fine", Origin=PAGE).headers["Vary"] == "Accept-Encoding"
    # an answer that another function has given
    twice = cors.Origins(PAGE).add(cors.Origins(PAGE).add({"Vary": "Accept-Encoding"}, PAGE), PAGE)
    assert twice["Vary"] == "Accept-Encoding, Origin"


def test_credentials_are_never_allowed() -> None:
    """A browser adds nothing by itself to a call, so no page calls in the name of who only looks at it."""
    for allowed in ("*", PAGE):
        assert "Access-Control-Allow-Credentials" not in ask(allowed, "/fine", Origin=PAGE).headers


def test_a_stream_has_them_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "_streams", True)
    from tests.support import load_event

    event = load_event("apigateway_proxy") | {"httpMethod": "GET", "path": "/parts", "headers": {"origin": PAGE}}
    answer: Any = handler(PAGE)(event, None)
    assert (answer.status, answer.headers[ALLOW]) == (200, PAGE)
    assert b"".join(answer.parts) == b"ab"


def test_the_parameter_is_the_functions_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", f"{OTHER}, {PAGE}")
    assert cors.of_environment().add({}, PAGE)[ALLOW] == PAGE
    monkeypatch.delenv("CORS_ORIGINS")
    assert cors.of_environment().add({}, PAGE) == {}


def test_every_header_that_the_description_names_can_be_read_by_a_page() -> None:
    exposed = {name.lower() for name in cors.EXPOSED}
    told = document()
    answers = [
        *told["components"]["responses"].values(),
        *(answer for path in told["paths"].values() for one in path.values() for answer in one["responses"].values()),
    ]
    named = {name.lower() for answer in answers for name in answer.get("headers", {})}
    assert named - {"www-authenticate"} <= exposed
    assert named - exposed == {"www-authenticate"}, "which says nothing that the status does not"
