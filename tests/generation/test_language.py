"""Chats, templates and grammars, in this process and behind the wall: what they give, and what ends a hostile one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput
from shared.runtime import confined, language
from shared.runtime.confined import Confined
from shared.runtime.signature import OutOfMemory
from shared.runtime.zygotes import Cutting
from shared.serving.generation.reader import Texts
from tests.generation.test_texts import bytes_tokenizer

MiB = 1 << 20
HELLO = [{"role": "user", "content": "hi <there> é"}]
CHATML = """{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system
You help.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""


@cache
def _raw() -> bytes:
    return bytes_tokenizer().to_str().encode()


@pytest.fixture(params=["here", "wall"])
def texts(request: pytest.FixtureRequest) -> Iterator[Texts]:
    plain = Cutting(plain=True)
    if request.param == "here":
        yield Texts(language.load(_raw()))
        return
    session = confined.load_tokenizer(_raw(), plain, memory=512 * MiB, filtered=True)
    yield Texts(session)
    session.close()


def rendered(texts: Texts, template: str, messages: list[dict[str, Any]] = HELLO, **variables: Any) -> str:
    return texts.decode(texts.chat(template, messages, variables))[1]


def test_a_chat_becomes_the_text_that_its_template_makes(texts: Texts) -> None:
    answer = "<|im_start|>user\nhi <there> é<|im_end|>\n<|im_start|>assistant\n"
    assert rendered(texts, CHATML) == f"<|im_start|>system\nYou help.<|im_end|>\n{answer}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "hi <there> é"),
        ("{%- generation -%}\n a \n{%- endgeneration -%}", "a"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "hi <there> é"}]'),
        ("{{ tools | tojson(indent=1) }}", "[\n 1\n]"),
        ("{{ bos_token }}{{ messages[0]['role'].upper() }}{{ ' x '.strip() }}", "<s>USERx"),
        ("{{ strftime_now('%Y')|length }}", "4"),
        ("{% for m in messages[:1] %}x{% endfor %}{{ messages[0].tool_calls is defined }}", "xFalse"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(1) }}{% if not tools is none %}{% endif %}", "<1>"),
    ],
)
def test_what_templates_of_hugging_face_use(template: str, text: str) -> None:
    here = Texts(language.load(_raw()))
    assert rendered(here, template, bos_token="<s>", tools=[1]) == text


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "refuses these messages: roles must alternate"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "out of fuel"),
        ("{{ messages.__class__.__mro__ }}", "undefined"),
        ("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(0) }}", "recursion"),
        ("{% include '/etc/passwd' %}", "cannot be used"),
        ("{% set ns = namespace(s='0123456789') %}{% for i in range(19) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"
         "{{ ns.s }}", "characters"),
        ("{% if %}", "syntax error"),
        ("{{ strftime_now(7) }}", "cannot be used"),
        ("x" * 70_000, "65536"),
    ],
)  # fmt: skip
def test_a_hostile_template_ends_its_call_and_nothing_else(texts: Texts, template: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        texts.chat(template, HELLO, {})
    assert rendered(texts, "{{ messages[0].content }}") == "hi <there> é", "the next call is answered"


def test_a_template_that_takes_all_memory_ends_its_process_at_most() -> None:
    session = confined.load_tokenizer(_raw(), Cutting(plain=True), memory=512 * MiB, filtered=True)
    texts, bomb = Texts(session), "{{ ('x' * 2000000000)|length }}{{ ('x' * 2000000000) ~ ('x' * 2000000000) }}"
    with pytest.raises((BadInput, OutOfMemory, confined.Crashed)):
        texts.chat(bomb, HELLO, {})
    assert texts.encode("a"), "another process answers"
    assert isinstance(session, Confined)
    session.close()


def grammar(schema: Any, kind: str = "json") -> str:
    text = json.dumps(schema) if kind == "json" else schema
    return json.dumps({"kind": kind, "text": text, "vocabulary": 300, "ends": [0]})


def test_a_grammar_says_which_tokens_may_follow(texts: Texts) -> None:
    schema = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
    body = grammar({**schema, "additionalProperties": False})
    chosen: list[int] = []
    while len(chosen) < 50:
        allowed = np.flatnonzero(texts.mask(body, chosen))
        assert len(allowed), "something may always follow"
        if 0 in allowed:
            break
        chosen.append(int(allowed[0]))
    assert json.loads(texts.decode(chosen)[1]) in ({"on": True}, {"on": False})
    assert np.array_equal(texts.mask(body, chosen[:3]), texts.mask(body, chosen[:3])), "also from another place on"
    assert len(texts.mask(body, [])) == 300, "of the model's vocabulary, not of the tokenizer's"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "minLength": 5, "maxLength": 2}, "minLength"),
        ({"$ref": "http://example.com/x"}, "not present in a registry"),
        ({"type": "strange"}, "Invalid type"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "incompatible"),
        (True, "object"),
    ],
)
def test_a_schema_that_cannot_be_met_is_refused(texts: Texts, schema: Any, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        texts.mask(grammar(schema), [])


def test_tokens_that_are_not_of_the_grammar_are_refused(texts: Texts) -> None:
    body = grammar({"type": "integer"})
    with pytest.raises(BadInput, match="left its grammar"):
        texts.mask(body, texts.encode("x"))
    assert texts.mask(body, []).any(), "the grammar is there still"
