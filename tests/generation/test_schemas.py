"""Texts that are held to JSON schemas are of them, whatever the model would say: a thousand answers of a random one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from shared.runtime import language
from shared.serving.generation.engine import Guide
from shared.serving.generation.loop import Conversation, End, Request, generate
from shared.serving.generation.reader import Texts
from shared.serving.generation.sampling import Sampling
from tests.decoders.folders import END, VOCABULARY, tokenizer

MOST = 400  # tokens: an answer that is not over by then is no answer, and is left out of the count
SCHEMAS: dict[str, Any] = {
    "switch": {
        "type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"], "additionalProperties": False,
    },
    "person": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    "choice": {"type": "object", "properties": {"of": {"enum": ["red", "green", 3]}}, "required": ["of"]},
    "list": {"type": "array", "items": {"type": "integer", "minimum": -9, "maximum": 9}, "minItems": 1, "maxItems": 5},
    "nested": {
        "type": "object",
        "properties": {
            "at": {"$ref": "#/$defs/point"}, "tags": {"type": "array", "items": {"const": "x"}, "maxItems": 3},
        },
        "required": ["at", "tags"],
        "additionalProperties": False,
        "$defs": {
            "point": {
                "type": "object",
                "properties": {"x": {"type": "number", "minimum": 0, "maximum": 1}},
                "required": ["x"],
                "additionalProperties": False,
            }
        },
    },
    "either": {"anyOf": [{"type": "boolean"}, {"type": "null"}, {"type": "string", "maxLength": 3}]},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    "date": {"type": "string", "format": "date"},
    "plain": {"type": "object", "properties": {"a": {"type": "string", "maxLength": 8}}, "additionalProperties": False},
    "tuple": {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}], "items": False, "minItems": 2},
}  # fmt: skip


class Chance:
    """A reader whose next token is anything: what a grammar holds has to be its own work."""

    limit: int | None = None
    block = 256
    length = 0

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def extend(self, tokens: Any) -> np.ndarray:
        return self._random.normal(size=VOCABULARY).astype(np.float32)

    def rewind(self, length: int) -> None: ...


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(language.load(tokenizer().to_str().encode()))


def answers(texts: Texts, schema: Any, count: int) -> Iterator[str]:
    grammar = {"kind": "json", "text": json.dumps(schema), "vocabulary": VOCABULARY, "ends": [END]}
    for seed in range(count):
        request = Request(
            prompt=[5], max_tokens=MOST, sampling=Sampling(temperature=1, seed=seed), ends=frozenset({END})
        )
        guide = Guide(texts, json.dumps(grammar))
        *pieces, end = generate(Conversation(Chance(seed)), request, texts.decode, lambda: 1e9, guide=guide)
        assert isinstance(end, End)
        if end.cause == "end":
            yield "".join(piece.text for piece in pieces)  # type: ignore[union-attr]


def hold(texts: Texts, name: str, count: int) -> int:
    schema, valid = SCHEMAS[name], 0
    check = Draft202012Validator(schema)
    for answer in answers(texts, schema, count):
        value = json.loads(answer)
        check.validate(value)
        # a grammar knows a date's form, and not in which years there is a 29th of February
        assert name != "date" or re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", value)
        valid += 1
    return valid


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_an_answer_is_of_its_schema(texts: Texts, name: str) -> None:
    assert hold(texts, name, 5) >= 3


@pytest.mark.soak
def test_a_thousand_answers_are_of_their_schemas(texts: Texts) -> None:
    valid = {name: hold(texts, name, 110) for name in SCHEMAS}
    print(valid)
    assert sum(valid.values()) >= 1000
