"""Runs MiniStack with one thing as AWS has it: where an API's binary types are "*/*", every body is binary.

MiniStack looks for the type of a body in the headers and takes one without Content-Type for text, which destroys what a
client such as tritonclient sends; without Accept it answers with base64.
"""

from __future__ import annotations

import runpy
import sys

del sys.path[0]  # this folder: its modules are no part of the cloud

# E402: only now does its name mean the package; it is in no environment but the cloud's own
import ministack.services.apigateway_v1 as gateway  # type: ignore[import-not-found]  # noqa: E402

literally = gateway._media_type_matches


def matches(media_type: str | None, binary_media_types: list[str] | None) -> bool:
    return "*/*" in (binary_media_types or ()) or bool(literally(media_type, binary_media_types))


gateway._media_type_matches = matches
runpy.run_module("ministack", run_name="__main__")
