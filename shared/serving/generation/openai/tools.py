"""Tools that a model may call: how it is told of them, the grammar of a call, and calls in its text.

A call is written as models that were trained for it write it, {"name": …, "arguments": {…}} between two markers. The
grammar guarantees that a call is one of the tools', with arguments by its schema: not that it is a wise one.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared.clock import new_id
from shared.errors import BadInput
from shared.serving.generation.texts import overlap

MARKERS = ("<tool_call>\n", "\n</tool_call>")
FORM = {"x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}}
MOST_TOOLS = 64
TOLD = (
    "You may call one of these functions, described in JSON:\n{tools}\n\nTo call one, answer with its name and "
    'arguments as JSON, and nothing else:\n{begin}{{"name": "NAME", "arguments": {{"ARGUMENT": "VALUE"}}}}{end}'
)


class Function(Struct, frozen=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Struct, frozen=True):
    function: Function
    type: str = "function"


class Call(Struct, frozen=True):
    """arguments: JSON, as text."""

    id: str
    name: str
    arguments: str

    def described(self, index: int | None = None) -> dict[str, Any]:
        """In OpenAI's form. index: of its place among an answer's calls, in a stream."""
        call = {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}
        return call if index is None else {"index": index, **call}


def chosen(tools: list[Tool], choice: Any) -> tuple[list[Tool], bool]:
    """The tools that may be called, and whether one has to be. Raises BadInput."""
    if choice == "none":
        return [], False
    if choice in (None, "auto"):
        return tools, False
    if choice == "required" and tools:
        return tools, True
    name = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    matching = [tool for tool in tools if tool.function.name == name]
    if not matching:
        raise BadInput(f"tool_choice names {str(name or choice)[:100]!r}, which is not among the tools")
    return matching, True


def grammar(tools: list[Tool], markers: tuple[str, str], required: bool) -> tuple[str, str]:
    """Of answers with calls between the markers, and with text beside them where no call is required."""
    call = json.dumps(FORM | {"anyOf": [_schema(tool.function) for tool in tools]})
    begin, end = (json.dumps(marker) for marker in markers)
    if required:
        return "lark", f"%llguidance {{}}\nstart: {begin} call {end}\ncall: %json {call}\n"
    return "lark", (
        "%llguidance {}\nstart: (call)* rest\nrest: TEXT\nTEXT: /(.|\\n)*/\n"
        f"before[lazy]: TEXT {begin}\ncall: before body {end}\nbody: %json {call}\n"
    )


def _schema(function: Function) -> dict[str, Any]:
    arguments = function.parameters or {"type": "object"}
    return {
        "type": "object",
        "properties": {"name": {"const": function.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def described(tools: list[Tool]) -> list[dict[str, Any]]:
    """As templates know them."""
    return [msgspec.to_builtins(tool) for tool in tools]


def in_words(tools: list[Tool], markers: tuple[str, str]) -> str:
    """For models whose templates know no tools."""
    lines = "\n".join(json.dumps(one["function"], ensure_ascii=False) for one in described(tools))
    return TOLD.format(tools=lines, begin=markers[0], end=markers[1])


class Splitter:
    """Takes a text as it comes: calls out of it, and the rest of it as it is."""

    def __init__(self, markers: tuple[str, str]) -> None:
        self._begin, self._end = (marker.strip() for marker in markers)
        self._held = ""
        self.calls: list[Call] = []

    def push(self, text: str) -> str:
        """What is text for sure, and no part of a call."""
        self._held += text
        given = ""
        while True:
            start = self._held.find(self._begin)
            if start < 0:
                cut = len(self._held) - overlap(self._held, self._begin)
                given, self._held = given + self._held[:cut], self._held[cut:]
                return given
            end = self._held.find(self._end, start)
            if end < 0:
                given, self._held = given + self._held[:start], self._held[start:]
                return given
            call = _parsed(self._held[start + len(self._begin) : end])
            after = end + len(self._end)
            if call is None:  # what is no call stays text
                given += self._held[:after]
            else:
                given += self._held[:start].rstrip("\n")
                self.calls.append(call)
            self._held = self._held[after:]

    def rest(self) -> str:
        """What was held back, at the text's end: a call without an end is none."""
        text, self._held = self._held, ""
        return text


def _parsed(text: str) -> Call | None:
    try:
        call = json.loads(text)
    except ValueError:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Call(f"call_{new_id().replace('-', '')}", call["name"], text)
