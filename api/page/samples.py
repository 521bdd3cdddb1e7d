"""A value of a schema, to show what such values look like, and to begin a form with."""

from __future__ import annotations

import re
from typing import Any

# texts, of which the first that fits a pattern stands for it
TEXTS = (
    "text",
    "production",
    "1",
    "0" * 12,
    "0" * 64,
    "sha256:" + "0" * 64,
    "2026-11-29T12:00:00Z",
    "019f1000000-0000000000000000",
    "infer",
    "model.onnx",
    "https://example.org/",
)
DEEP = 12  # components within each other, beyond which nothing is shown


class NoSample(Exception):
    """A schema in itself, which has no end."""


class Samples:
    """Of one document. schemas: its components, by name. whole: with all members, not only those that are required."""

    def __init__(self, schemas: dict[str, Any], *, whole: bool = True) -> None:
        self._schemas, self._whole = schemas, whole

    def of(self, schema: dict[str, Any], within: int = 0) -> Any:
        """A value. Raises NoSample for what goes on in itself. within: how many components it is in."""
        if within > DEEP:
            raise NoSample
        if "$ref" in schema:
            return self.of(self._schemas[schema["$ref"].rpartition("/")[2]], within + 1)
        if (known := _said(schema)) is not None:
            return known
        for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            if one.get("type") != "null":
                return self.of(one, within)
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            return self._object(schema, within)
        return self._array(schema, within) if kind == "array" else _scalar(schema, kind)

    def _object(self, schema: dict[str, Any], within: int) -> dict[str, Any]:
        # "if A, else B" is "A or B" in the description: A is shown
        first = schema.get("if", {})
        required = {*schema.get("required", ()), *first.get("required", ())}
        shown = {}
        for name, one in (schema.get("properties", {}) | first.get("properties", {})).items():
            if name in required or self._whole:
                try:
                    shown[name] = self.of(one, within + 1)
                except NoSample:
                    if name in required:
                        raise
        others = schema.get("additionalProperties")
        if isinstance(others, dict) and not shown and self._whole:
            return {_text(schema.get("propertyNames", {})): self.of(others, within + 1)}
        return shown

    def _array(self, schema: dict[str, Any], within: int) -> list[Any]:
        try:
            if "prefixItems" in schema:
                return [self.of(one, within + 1) for one in schema["prefixItems"]]
            return [self.of(schema.get("items", {}), within + 1)] * max(1, schema.get("minItems", 1))
        except NoSample:
            return []


def _said(schema: dict[str, Any]) -> Any:
    """What the schema itself names; None where it names nothing."""
    if schema.get("const") is not None:
        return schema["const"]
    if schema.get("default") not in (None, ""):
        return schema["default"]
    return next((schema[known][0] for known in ("examples", "enum") if schema.get(known)), None)


def _scalar(schema: dict[str, Any], kind: Any) -> Any:
    if kind == "string":
        return _text(schema)
    if kind == "integer":
        return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    if kind == "number":
        least, most = schema.get("minimum", 0), schema.get("maximum", 1)
        return (least + most) / 2
    return {"boolean": True, "null": None}.get(kind, "…" if kind is None else None)


def _text(schema: dict[str, Any]) -> str:
    pattern = schema.get("pattern", "")
    fits = [text for text in TEXTS if re.search(pattern, text) and len(text) <= schema.get("maxLength", len(text))]
    return fits[0] if fits else "…"
