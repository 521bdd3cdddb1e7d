"""Tools that a model may call: how it is told of them, the grammar of a call, and calls in its text.

A call is written as models that were trained for it write it, {"name": …, "arguments": {…}} between two markers. The
grammar guarantees that a call is one of the tools', with arguments by its schema: not that it is a wise one.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

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
    """strict: its arguments are held to all of its schema, or the call is refused."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @property
    def schema(self) -> dict[str, Any]:
        return self.parameters or {"type": "object", "properties": {}}


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


class Named(Struct, frozen=True):
    name: str


class Choice(Struct, frozen=True):
    """One tool, which has to be called."""

    function: Named
    type: str = "function"


def chosen(tools: list[Tool], choice: str | Choice | None) -> tuple[list[Tool], bool]:
    """The tools that may be called, and whether one has to be. Raises BadInput."""
    if choice == "none":
        return [], False
    if choice in (None, "auto"):
        return tools, False
    if choice == "required" and tools:
        return tools, True
    name = choice.function.name if isinstance(choice, Choice) else str(choice)
    matching = [tool for tool in tools if isinstance(choice, Choice) and tool.function.name == name]
    if not matching:
        raise BadInput(f"tool_choice names {name[:100]!r}, which is not among the tools")
    return matching, True


def grammar(tools: list[Tool], markers: tuple[str, str], *, required: bool, several: bool) -> tuple[str, str]:
    """Of answers with calls between the markers, and with text beside them where no call is required.

    several: more than one call in an answer.
    """
    rules = _bodies(tools)
    if required:
        begin, end = (json.dumps(marker) for marker in markers)
        return "lark", "\n".join(["%llguidance {}", f"start: {begin} body {end}", *rules, ""])
    begin, end = (json.dumps(marker.strip()) for marker in markers)  # as Splitter looks for them
    rules += ["rest: TEXT", r"TEXT: /(.|\n)*/", r"BLANK: /\s*/", f"before[lazy]: TEXT {begin}"]
    rules.append(f"call: before BLANK body BLANK {end}")
    return "lark", "\n".join(["%llguidance {}", f"start: {'(call)*' if several else 'call?'} rest", *rules, ""])


def either(tools: list[Tool], markers: tuple[str, str], schema: dict[str, Any], *, several: bool) -> tuple[str, str]:
    """Of answers that are calls and nothing else, or JSON by the schema and nothing else."""
    begin, end = (json.dumps(marker) for marker in markers)
    rules = ["start: calls | content", f"content: %json {json.dumps(schema | FORM)}", f"call: {begin} body {end}"]
    rules += [r'calls: call ("\n" call)*' if several else "calls: call", *_bodies(tools)]
    return "lark", "\n".join(["%llguidance {}", *rules, ""])


def _bodies(tools: list[Tool]) -> list[str]:
    """The rules of what is between two markers. Each tool has one of its own: what its schema refers to is in it."""
    rules = [f"tool_{number}: {_rule(tool.function)}" for number, tool in enumerate(tools)]
    return [*rules, "body: " + " | ".join(f"tool_{number}" for number in range(len(tools)))]


def _rule(function: Function) -> str:
    head = json.dumps(f'{{"name": {json.dumps(function.name)}, "arguments": ')
    # of a tool that is not `strict`, what no grammar can hold is left to the model
    form = FORM["x-guidance"] | ({} if function.strict else {"lenient": True})
    return f"{head} %json {json.dumps(function.schema | {'x-guidance': form})} {json.dumps('}')}"


def described(tools: list[Tool]) -> list[dict[str, Any]]:
    """As templates know them: without what is not said, and with parameters, of which there may be none."""
    return [{"type": tool.type, "function": _told(tool.function)} for tool in tools]


def _told(function: Function) -> dict[str, Any]:
    description = {} if function.description is None else {"description": function.description}
    return {"name": function.name, **description, "parameters": function.schema}


def in_words(tools: list[Tool], markers: tuple[str, str]) -> str:
    """For models whose templates know no tools."""
    lines = "\n".join(json.dumps(one["function"], ensure_ascii=False) for one in described(tools))
    return TOLD.format(tools=lines, begin=markers[0], end=markers[1])


class Splitter:
    """Takes a text as it comes: calls out of it, and the rest of it as it is. names: of the tools; others are text.

    alone: calls have no text beside them, but for one that was cut off. A text that begins with anything else has none,
    and is JSON, whose strings may have markers in them.
    """

    def __init__(self, markers: tuple[str, str], names: frozenset[str], *, alone: bool = False) -> None:
        self._begin, self._end = (marker.strip() for marker in markers)
        self._names, self._alone = names, alone
        self._held, self._plain = "", False
        self.calls: list[Call] = []

    def push(self, text: str) -> str:
        """What is text for sure, and no part of a call."""
        self._held += text
        self._plain = self._plain or (self._alone and not self.calls and not self._may_be_call())
        if self._plain:
            return self.rest()
        given = self._divide()
        return "" if self._alone and self.calls else given

    def _divide(self) -> str:
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
            if call is None or call.name not in self._names:  # what is no call stays text
                given += self._held[:after]
            else:
                given += self._held[:start].rstrip("\n")
                self.calls.append(call)
            self._held = self._held[after:]

    def _may_be_call(self) -> bool:
        held = self._held.lstrip()
        return held.startswith(self._begin) or self._begin.startswith(held)

    def rest(self) -> str:
        """What was held back, at the text's end: a call without an end is none."""
        text, self._held = self._held, ""
        return "" if self._alone and self.calls else text


def _parsed(text: str) -> Call | None:
    try:
        call = json.loads(text)
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return None
        arguments = call.get("arguments", call.get("parameters", {}))
        told = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        told.encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        return None
    return Call(f"call_{new_id().replace('-', '')}", call["name"], told)
