"""The only module that knows minijinja: a chat template and messages, as the text that a model was trained on.

A template is a stranger's code. This engine has no way to Python's objects, counts what a template does, and ends it;
and it runs where nothing else is to be had (runner.py), within a bound on memory.

Templates are written for Hugging Face's Jinja: its `{% generation %}`, `raise_exception` and `strftime_now` are known.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import minijinja
import msgspec
from msgspec import Meta, Struct

from shared.errors import BadInput

MAX_TEMPLATE = 64 * 1024  # characters
MAX_TEXT = 4_000_000  # characters of what a template makes
FUEL = 2_000_000  # of the engine's instructions: a template of 10 kB takes some 50 for a message
# says which tokens are the assistant's, for training; its words stay
GENERATION = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")


class Chat(Struct, frozen=True):
    """What a template is given. variables: further names that it knows, such as `bos_token`, or `tools`."""

    template: Annotated[str, Meta(max_length=MAX_TEMPLATE)]
    messages: list[dict[str, Any]]
    variables: dict[str, Any] = {}


DECODER = msgspec.json.Decoder(Chat)


def render(body: bytes) -> str:
    """The text of a Chat in JSON. Raises BadInput: with the template's own words, where it refuses the messages."""
    try:
        chat = DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the chat cannot be read: {error}") from error
    environment = _environment()
    try:
        names = {"messages": chat.messages, "add_generation_prompt": True} | chat.variables
        text: str = environment.render_str(GENERATION.sub(_plain, chat.template), **names)
    except _Refused as error:
        raise BadInput(f"the model's chat template refuses these messages: {str(error)[:500]}") from error
    except (minijinja.TemplateError, ValueError, TypeError, RecursionError) as error:
        refused = _cause(error)
        if refused is not None:
            raise BadInput(f"the model's chat template refuses these messages: {str(refused)[:500]}") from error
        raise BadInput(f"the model's chat template cannot be used: {str(error).splitlines()[0][:300]}") from error
    if len(text) > MAX_TEXT:
        raise BadInput(
            f"the chat has {len(text):,} characters, more than the {MAX_TEXT:,} allowed: send fewer messages"
        )
    return text


class _Refused(Exception):
    """What a template raises itself."""


def _cause(error: BaseException | None) -> _Refused | None:
    """The refusal that an error of the engine has come of."""
    while error is not None and not isinstance(error, _Refused):
        error = error.__cause__
    return error


def _environment() -> minijinja.Environment:
    environment = minijinja.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.fuel = FUEL
    environment.auto_escape_callback = lambda name: False
    environment.add_global("raise_exception", _raise)
    environment.add_global("strftime_now", lambda form: datetime.now(UTC).strftime(form))
    environment.add_filter("tojson", _to_json)
    return environment


def _raise(reason: str) -> None:
    raise _Refused(reason)


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
    """As Hugging Face has it: characters stay what they are."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, sort_keys=bool(options.get("sort_keys")))


def _plain(match: re.Match[str]) -> str:
    word = "endif" if match[2] else "if true"
    return "{%" + match[1] + " " + word + " " + match[3] + "%}"


def warm_up() -> None:
    """What a first use imports and opens: in the sandbox no file can be opened any more."""
    for template in ("{{ messages | tojson }}{{ strftime_now('%d %b %Y') }}", "{% if %}", "{{ a.b }}"):
        with suppress(BadInput):
            render(msgspec.json.encode(Chat(template, [{"role": "user"}])))
