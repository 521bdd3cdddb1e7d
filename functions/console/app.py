"""The console's files and the API's page, which need no token: what they show of models, they ask the API for, with
the visitor's own.

It reads nothing and may nothing: a page, and what this function was built with. Nothing is paid while nobody looks.
"""

from __future__ import annotations

import html

from functions.console import files
from shared.entry.http import Request, Response, Routes
from shared.errors import NotFound

handler = Routes("console")

# of the page's address and no other: no script but the files here, no style in elements, no request elsewhere
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# the digest in a file's address is that of all files, so what is there never changes
FOREVER = "public, max-age=31536000, immutable"


@handler.route("GET", "/console", id="getConsole", scope=None)
def page(request: Request) -> Response:
    """The page, which names this build's files"""
    body = files.page(html.escape(_address(request)))
    return _answer(request, files.File.of("index.html", body), "no-cache")


@handler.route("GET", "/console/{build}/{name}", id="getConsoleFile", scope=None)
def file(request: Request) -> Response:
    """A file of the console"""
    known = files.load()
    name = request.params["name"]
    if request.params["build"] != files.build() or name not in known:
        raise NotFound("the console has no such file: it may have been updated, so load the page anew")
    return _answer(request, known[name], FOREVER)


@handler.route("GET", "/docs", id="getApiPage", scope=None)
def api_page(request: Request) -> Response:
    """The API, to read and to try"""
    found, policy = files.api_page()
    return _answer(request, found, "no-cache", policy)


def _answer(request: Request, one: files.File, cache: str, policy: str = POLICY) -> Response:
    headers = {
        **SECURITY,
        "Content-Security-Policy": policy,
        "Cache-Control": cache,
        "ETag": one.etag,
        "Vary": "Accept-Encoding",
    }
    if one.etag in request.headers.get("if-none-match", ""):
        return Response(b"", 304, {**headers, "Content-Type": one.media})
    headers["Content-Type"] = one.media
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(one.compressed, 200, {**headers, "Content-Encoding": "gzip"})
    return Response(one.body, 200, headers)


def _address(request: Request) -> str:
    """The path of the console as the visitor's browser has it: below the stage, or below a domain of one's own."""
    context = request.context
    if "domainName" in context and "path" in context:
        return str(context["path"]).rstrip("/")
    return f"/_aws/execute-api/{context['apiId']}/{context['stage']}/console"
