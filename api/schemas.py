"""JSON Schemas of types: one component for each Struct, and what refers to it."""

from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec

REF = "#/components/schemas/{name}"
KINDS = {str: "string", bool: "boolean", int: "integer", float: "number"}
WEIGHTS = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[1-9][0-9]{0,9}$"}}
# What request bodies say beyond their types, by component. "if A, else B" is "A or B": generators of clients take anyOf
# and oneOf for several types, of which they make no class.
NARROWER: dict[str, dict[str, Any]] = {
    "SetAliasRequest": {
        "if": {"required": ["version"], "properties": {"version": {"type": "integer"}}},
        "then": {"properties": {"split": {"type": "null"}}},
        "else": {"required": ["split"], "properties": {"split": WEIGHTS}},
    },
    "UpdateModelRequest": {
        "if": {"required": ["card"], "properties": {"card": {"type": "string"}}},
        "else": {"required": ["tags"], "properties": {"tags": {"type": "array", "items": {"type": "string"}}}},
    },
    "PredictRequest": {"if": {"required": ["input"]}, "else": {"required": ["inputs"]}},
}
IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
# members of which msgspec cannot say what they are: several kinds of arrays
MEMBERS: dict[tuple[str, str], dict[str, Any]] = {
    ("EmbeddingsRequest", "input"): {
        "description": "a text, or several; or token ids of the model's own vocabulary, of one text or of several",
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1024},
            IDS | {"maxItems": 16_384},
            {"type": "array", "items": IDS, "minItems": 1, "maxItems": 1024},
        ],
    }
}
# members that generators of clients would name as another component is named
TITLES = {("Version", "state"): "Lifecycle", ("Version", "files"): "Digests"}


class Schemas:
    """The schemas of some types, by type; `components`: those of all Structs in them, by name."""

    def __init__(self, types: list[Any]) -> None:
        self._types = types
        self._schemas, components = msgspec.json.schema_components(types, ref_template=REF)
        self.components = {name: _tidy(schema) | NARROWER.get(name, {}) for name, schema in components.items()}
        for (name, member), said in MEMBERS.items():
            if name in self.components:
                self.components[name]["properties"][member] = said
        for (name, member), title in TITLES.items():
            if name in self.components:
                self.components[name]["properties"][member]["title"] = title

    def __getitem__(self, of: Any) -> dict[str, Any]:
        """Of a type, or of several of which a value has one."""
        if isinstance(of, tuple):
            return {"anyOf": [self[one] for one in of]}
        schema: dict[str, Any] = _tidy(self._schemas[self._types.index(of)])
        return schema


def _tidy(schema: Any) -> Any:
    """Docstrings without their indentation, and no titles that repeat a component's name."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: _tidy(value) for name, value in schema.items() if not (name == "title" and isinstance(value, str))}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = inspect.cleandoc(tidy["description"])
    return _for_generators(tidy)


def _for_generators(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, said as generators of clients want it: they leave an operation out where a schema has no type."""
    values = schema.get("enum")
    if isinstance(values, list) and "type" not in schema:
        [kind] = {KINDS[type(value)] for value in values}
        if kind == "boolean" and len(values) == 1:  # an enumeration of truth has no class in most languages
            schema = {name: value for name, value in schema.items() if name != "enum"} | {"const": values[0]}
        schema = {"type": kind, **schema}
    if schema.get("type") == "array" and not {"items", "prefixItems"} & schema.keys():
        schema = schema | {"items": {}}
    if schema.get("type") == "object" and not {"properties", "additionalProperties"} & schema.keys():
        schema = schema | {"additionalProperties": {}}  # without it, some make an object that has no members
    members = schema.get("properties")
    if isinstance(members, dict):
        schema = schema | {"properties": {name: _without_default(member) for name, member in members.items()}}
    return schema


def _without_default(member: dict[str, Any]) -> dict[str, Any]:
    """A member whose default is said in words: of a `default` some generators make a member that must be there."""
    if "default" not in member:
        return member
    kept = {name: value for name, value in member.items() if name != "default"}
    if member["default"] in (None, "", [], {}):
        return kept
    default = f"Without it: {json.dumps(member['default'], ensure_ascii=False)}."
    return kept | {"description": " ".join(filter(None, [member.get("description"), default]))}
