"""The description of the API, which was made when this function was built (api/), with the address it is asked at."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from shared.entry.http import Request
from shared.entry.wiring import config
from shared.errors import NotFound

DOCUMENT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@cache
def document() -> dict[str, Any]:
    """Raises NotFound."""
    try:
        return DOCUMENT.decode((Path(__file__).parent / "openapi.json").read_bytes())
    except FileNotFoundError:
        raise NotFound("this function was built without the API's description: build it with make build") from None


def address(request: Request) -> str:
    """Where this caller finds the API, its stage included: the stack's output ApiUrl, or a domain of one's own."""
    context, scheme = request.context, request.headers.get("x-forwarded-proto", "https")
    if "domainName" in context:
        return f"{scheme}://{context['domainName']}{context['path'].removesuffix('/openapi.json')}"
    return f"{config().endpoint_url}/_aws/execute-api/{context['apiId']}/{context['stage']}"
