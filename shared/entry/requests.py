"""What a request says of the call that it asks for: of which model, for which version of a split alias, with what."""

from __future__ import annotations

from shared.entry.http import Request
from shared.serving import content
from shared.values import texts

TENSORS_BEHIND = "inference-header-content-length"  # how many bytes of the body are JSON


def model_in_path(request: Request) -> tuple[str, str | None]:
    """The model's name, and the version or alias, None for the default one."""
    return request.params["model"], request.params.get("version")


def model_in_body(request: Request, model: str) -> tuple[str, str | None]:
    """The same of a body's model, NAME or NAME@REFERENCE, which the route's own check of the scope could not know.

    Raises Forbidden.
    """
    name, _, reference = model.partition("@")
    request.require("infer", name)
    return name, reference or None


def split_key(request: Request) -> str | None:
    """Requests with the same key get the same version of a split alias; one without a key draws its own."""
    return request.headers.get("x-request-key") or None


def sent(request: Request) -> tuple[bytes, str]:
    """The body, decompressed, and its whole Content-Type. Raises BadInput, TooLarge, Unsupported."""
    body = content.decompress(request.body, request.headers.get("content-encoding"))
    return body, request.headers.get("content-type", "")


def body(request: Request) -> bytes:
    """Decompressed; JSON and text in UTF-8, without a byte order mark. Raises BadInput, TooLarge, Unsupported."""
    return texts.in_utf8(*sent(request))[0]


def tensors(request: Request) -> tuple[bytes, dict[str, str]]:
    """An inference request's body, and its headers: as they came where bytes are behind the JSON, else as `body`."""
    if TENSORS_BEHIND in request.headers:
        return request.body, request.headers
    return body(request), {name: value for name, value in request.headers.items() if name != "content-encoding"}
