"""JSON Schemas of types: one component for each Struct, and what refers to it."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

REF = "#/components/schemas/{name}"
WEIGHTS = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[1-9][0-9]{0,9}$"}}
# what request bodies say beyond their types, by component
NARROWER: dict[str, dict[str, Any]] = {
    "SetAliasRequest": {
        "oneOf": [
            {"required": ["version"], "properties": {"version": {"type": "integer"}, "split": {"type": "null"}}},
            {"required": ["split"], "properties": {"split": WEIGHTS, "version": {"type": "null"}}},
        ]
    },
    "UpdateModelRequest": {
        "anyOf": [
            {"required": ["card"], "properties": {"card": {"type": "string"}}},
            {"required": ["tags"], "properties": {"tags": {"type": "array"}}},
        ]
    },
    "PredictRequest": {"anyOf": [{"required": ["input"]}, {"required": ["inputs"]}]},
}


class Schemas:
    """The schemas of some types, by type; `components`: those of all Structs in them, by name."""

    def __init__(self, types: list[Any]) -> None:
        self._types = types
        self._schemas, components = msgspec.json.schema_components(types, ref_template=REF)
        self.components = {name: _tidy(schema) | NARROWER.get(name, {}) for name, schema in components.items()}

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
    return tidy
