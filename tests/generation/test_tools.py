"""Calls of tools: what a grammar lets through, what is taken for a call, and how tools are told to templates."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from shared.errors import BadInput
from shared.package import manifest
from shared.runtime import language
from shared.serving.generation.openai import tools
from shared.serving.generation.openai.tools import MARKERS, Choice, Function, Named, Splitter, Tool
from shared.serving.generation.reader import Texts
from tests.decoders.folders import END, VOCABULARY, tokenizer

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
COUNT: dict[str, Any] = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
COUNT |= {"additionalProperties": False}
WEATHER = Tool(Function("weather", parameters=CITY))
NAMES = frozenset({"weather"})


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(language.load(tokenizer().to_str().encode()))


def is_whole(texts: Texts, text: str, available: list[Tool], **more: Any) -> bool:
    """Whether a text is of the grammar of these tools, and may end. Raises BadInput where it is not."""
    kind, source = tools.grammar(available, MARKERS, **({"required": True, "several": True} | more))
    body = json.dumps({"kind": kind, "text": source, "vocabulary": VOCABULARY, "ends": [END]})
    return bool(texts.mask(body, texts.encode(text))[END])


def written(arguments: str, name: str = "weather") -> str:
    return f'{MARKERS[0]}{{"name": "{name}", "arguments": {arguments}}}{MARKERS[1]}'


def test_a_call_is_one_of_the_tools_with_arguments_by_its_schema(texts: Texts) -> None:
    assert is_whole(texts, written('{"city": "Paris"}'), [WEATHER])
    for text in (written('{"city": 1}'), written('{"city": "x"}', "other"), "Hello", written("{}")):
        with pytest.raises(BadInput, match="left its grammar"):
            is_whole(texts, text, [WEATHER])


def test_text_may_stand_beside_calls_where_none_is_required(texts: Texts) -> None:
    free = {"required": False}
    assert is_whole(texts, "Hello.", [WEATHER], **free)
    one = written('{"city": "x"}')
    assert is_whole(texts, f"Let me look. {one}", [WEATHER], **free)
    assert is_whole(texts, f"{one}\n{one}", [WEATHER], **free)
    with pytest.raises(BadInput):
        is_whole(texts, f'{MARKERS[0].strip()}{{"name": "zzz"', [WEATHER], **free)


def is_either(texts: Texts, text: str, *, several: bool = True) -> bool:
    """As is_whole, of answers that are calls of WEATHER, or JSON by the schema COUNT."""
    kind, source = tools.either([WEATHER], MARKERS, COUNT, several=several)
    body = json.dumps({"kind": kind, "text": source, "vocabulary": VOCABULARY, "ends": [END]})
    return bool(texts.mask(body, texts.encode(text))[END])


def test_an_answer_is_calls_or_json_by_the_schema_and_never_both(texts: Texts) -> None:
    one = written('{"city": "x"}')
    for text in (one, f"{one}\n{one}", '{"count": 3}'):
        assert is_either(texts, text)
    assert is_either(texts, one, several=False) and not is_either(texts, one[:-1])
    for text in ("Hello.", '{"count": "x"}', f'{{"count": 3}}{one}', f"Let me look. {one}", written("{}")):
        with pytest.raises(BadInput, match="left its grammar"):
            is_either(texts, text)
    with pytest.raises(BadInput, match="left its grammar"):
        is_either(texts, f"{one}\n{one}", several=False)


def test_json_stays_json_whatever_markers_its_strings_have() -> None:
    call = '<tool_call>{"name": "weather", "arguments": {}}</tool_call>'
    for size in (1, 3, 200):
        content = Splitter(("<tool_call>", "</tool_call>"), NAMES, alone=True)
        text = f'["{call}"]'
        parts = [content.push(text[start : start + size]) for start in range(0, len(text), size)]
        assert "".join(parts) == text and content.rest() == "" and content.calls == []
        calls = Splitter(("<tool_call>", "</tool_call>"), NAMES, alone=True)
        text = f"{call}\n{call}"
        assert not "".join(calls.push(text[start : start + size]) for start in range(0, len(text), size))
        assert len(calls.calls) == 2 and calls.rest() == ""


def test_what_a_schema_refers_to_is_in_it(texts: Texts) -> None:
    schema = {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Point"}},
        "required": ["at"],
        "$defs": {"Point": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}},
    }
    assert is_whole(texts, written('{"at": {"x": 1}}'), [WEATHER, Tool(Function("weather", parameters=schema))])


def test_what_no_grammar_can_hold_is_refused_of_strict_tools_only(texts: Texts) -> None:
    schema = {"type": "object", "properties": {"of": {"type": "array", "uniqueItems": True}}, "required": ["of"]}
    assert is_whole(texts, written('{"of": []}'), [Tool(Function("weather", parameters=schema))])
    with pytest.raises(BadInput, match="uniqueItems"):
        is_whole(texts, written('{"of": []}'), [Tool(Function("weather", parameters=schema, strict=True))])


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "weather", "arguments": {"x": "\\ud83d"}}',
        '{"name": "zzz", "arguments": {}}',
        '{"name": 7}',
        "[]",
        "no JSON",
        '{"name": "weather", "arguments": ' + "[" * 5000,
    ],
)
def test_what_is_no_call_stays_text(body: str) -> None:
    splitter, text = Splitter(MARKERS, NAMES), f"{MARKERS[0]}{body}{MARKERS[1]}"
    assert splitter.push(text) + splitter.rest() == text and splitter.calls == []


def test_calls_come_out_of_a_text_whatever_pieces_it_comes_in() -> None:
    text = f"Let me look. {written('{}')} Done."
    for size in (1, 2, 7, len(text)):
        splitter = Splitter(MARKERS, NAMES)
        rest = "".join(splitter.push(text[start : start + size]) for start in range(0, len(text), size))
        assert rest + splitter.rest() == "Let me look.  Done."
        assert [(call.name, call.arguments) for call in splitter.calls] == [("weather", "{}")]


def test_templates_are_told_nothing_that_was_not_said() -> None:
    [told] = tools.described([Tool(Function("now"))])
    assert list(told) == ["type", "function"]
    assert told["function"] == {"name": "now", "parameters": {"type": "object", "properties": {}}}


def test_choices() -> None:
    assert tools.chosen([WEATHER], "none") == ([], False)
    assert tools.chosen([WEATHER], "required") == ([WEATHER], True)
    assert tools.chosen([WEATHER], Choice(Named("weather"))) == ([WEATHER], True)
    for choice in ("other", "required", Choice(Named("other"))):
        with pytest.raises(BadInput, match="not among the tools"):
            tools.chosen([] if choice == "required" else [WEATHER], choice)


@pytest.mark.parametrize("markers", [["", ""], ["[X]", " "], ["\n", "[/X]"]])
def test_markers_of_nothing_are_refused(markers: list[str]) -> None:
    before = {"kind": "prompt", "tokenizer": "tokenizer.json", "tools": markers}
    with pytest.raises(BadInput, match="tools"):
        manifest.decode(msgspec.json.encode({"task": "text-generation", "preprocess": before}))
