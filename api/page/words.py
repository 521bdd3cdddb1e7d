"""Schemas in words: what a value is, in pieces of text of which some link to a component."""

from __future__ import annotations

import json
from typing import Any

Piece = dict[str, str | None]  # text; schema: the component that it names, None of a plain word
RANGES = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
    ("minLength", "length at least {}"),
    ("maxLength", "length at most {}"),
    ("minItems", "items: at least {}"),
    ("maxItems", "items: at most {}"),
    ("minProperties", "members: at least {}"),
    ("maxProperties", "members: at most {}"),
    ("pattern", "pattern {}"),
)


def _text(text: str) -> list[Piece]:
    return [{"text": text, "schema": None}]


class Words:
    """Of one document. schemas: its components, by name."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas

    def type(self, schema: dict[str, Any]) -> list[Piece]:
        """What a value of the schema is."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return [{"text": name, "schema": name}]
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._joined([self.type(one) for one in schema[several]], " or ")
        if "const" in schema:
            return _text(json.dumps(schema["const"]))
        if "enum" in schema:
            return _text(" or ".join(json.dumps(one) for one in schema["enum"]))
        if schema.get("type") == "array":
            items = schema.get("items")
            first = [self.type(one) for one in schema.get("prefixItems", [])]
            inner = self._joined(first, ", ") if first else self.type(items) if items else _text("anything")
            return [*_text("list of "), *inner]
        if isinstance(schema.get("additionalProperties"), dict) and "properties" not in schema:
            return [*_text("object, by name: "), *self.type(schema["additionalProperties"])]
        kind = schema.get("type", "anything")
        return _text(" or ".join(kind) if isinstance(kind, list) else str(kind))

    def _joined(self, several: list[list[Piece]], between: str) -> list[Piece]:
        pieces: list[Piece] = []
        for number, one in enumerate(several):
            pieces += (_text(between) if number else []) + one
        return pieces

    def bounds(self, schema: dict[str, Any]) -> str:
        """What more a value has to be, as a sentence's end; "" of no more."""
        told = [words.format(schema[name]) for name, words in RANGES if name in schema]
        if "default" in schema and schema["default"] not in (None, "", [], {}):
            told.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
        return ", ".join(told)

    def parameter(self, parameter: dict[str, Any]) -> dict[str, Any]:
        schema = parameter["schema"]
        place = {"path": "in the path", "query": "in the query", "header": "a header"}[parameter["in"]]
        required, about = parameter["required"], parameter["description"]
        member = self._member(parameter["name"], schema, required)
        return member | {"about": about, "place": place}

    def members(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """Of an object, or of the objects that an array has."""
        properties = schema.get("properties", {})
        return [self._member(name, one, name in schema.get("required", [])) for name, one in properties.items()]

    def _member(self, name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
        told = {"name": name, "type": self.type(schema), "required": required, "bounds": self.bounds(schema)}
        return told | {"about": schema.get("description", "")}

    def body(self, media: str, schema: dict[str, Any]) -> dict[str, Any]:
        binary = schema.get("format") == "binary"
        return {
            "media": media,
            "type": _text("bytes") if binary else self.type(schema),
            "about": schema.get("description", ""),
            "members": self.members(schema),
        }

    def answer(self, status: str, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "status": status,
            "about": response["description"],
            "bodies": [self.body(media, one.get("schema", one)) for media, one in response["content"].items()],
            "headers": [self._header(name, one) for name, one in response.get("headers", {}).items()],
        }

    def _header(self, name: str, header: dict[str, Any]) -> dict[str, Any]:
        return self._member(name, header["schema"], False) | {"about": header["description"]}
