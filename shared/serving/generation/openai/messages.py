"""Messages as callers send them, as chat templates know them: contents as text, arguments of calls as objects."""

from __future__ import annotations

import json
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.serving.generation.openai import tools
from shared.serving.generation.openai.tools import Tool

MOST_MESSAGES = 2000
ROLES = {"developer": "system", "function": "tool"}  # OpenAI's later and earlier words for them


class MadeFunction(Struct, frozen=True):
    """arguments: JSON as text, as OpenAI has it, or an object, as others send it."""

    name: str
    arguments: str | dict[str, Any] | None = None


class MadeCall(Struct, frozen=True):
    function: MadeFunction
    id: str | None = None


class Message(Struct, frozen=True):
    """One message. content: a text, or parts of which each is one."""

    role: Annotated[str, Meta(pattern="^(system|developer|user|assistant|tool|function)$")]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[MadeCall] | None = None
    tool_call_id: str | None = None


def for_template(
    messages: list[Message], available: list[Tool], markers: tuple[str, str], *, native: bool
) -> list[dict[str, Any]]:
    """What the template is given. native: it knows tools; else they are told in words. Raises BadInput."""
    prepared = [_prepared(message, place, markers, native) for place, message in enumerate(messages)]
    if available and not native:
        told = tools.in_words(available, markers)
        if prepared and prepared[0]["role"] == "system":
            prepared[0] = prepared[0] | {"content": f"{prepared[0]['content']}\n\n{told}"}
        else:
            prepared.insert(0, {"role": "system", "content": told})
    return prepared


def _prepared(message: Message, place: int, markers: tuple[str, str], native: bool) -> dict[str, Any]:
    role, content = ROLES.get(message.role, message.role), text_of(message.content, place)
    calls = [_call(call, place) for call in message.tool_calls or ()]
    if not native:
        written = [f"{markers[0]}{json.dumps(call, ensure_ascii=False)}{markers[1]}" for call in calls]
        content = "\n".join([content, *written] if content else written) if written else content
        if role == "tool":
            return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
        return {"role": role, "content": content}
    prepared: dict[str, Any] = {"role": role, "content": content}
    prepared |= {"name": message.name} if message.name else {}
    prepared |= {"tool_call_id": message.tool_call_id} if message.tool_call_id else {}
    if calls:
        prepared["tool_calls"] = [{"type": "function", "function": call} for call in calls]
    return prepared


def text_of(content: str | list[dict[str, Any]] | None, place: int) -> str:
    """The text of a message's content. place: of the message. Raises BadInput for parts that are none."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.get("type") not in ("text", "refusal") or not isinstance(part.get("text", part.get("refusal")), str):
            raise BadInput(
                f"messages[{place}] has a part of type {str(part.get('type'))[:40]!r}: this model takes text only"
            )
    return "".join(str(part.get("text", part.get("refusal"))) for part in content)


def _call(call: MadeCall, place: int) -> dict[str, Any]:
    """A call of an earlier answer, with its arguments as an object, as templates write them."""
    arguments = call.function.arguments or "{}"
    try:
        values = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError) as error:
        raise BadInput(f"messages[{place}] has a call whose arguments are not JSON: {str(error)[:200]}") from error
    return {"name": call.function.name, "arguments": values}
