"""The API as one HTML page for people, made of the OpenAPI document: readable without JavaScript, and as a file.

Style and script are within the page, which names their digests in its policy, so that no others run. What the script
needs to know of operations, to make forms of them, is within it as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import minijinja

from api.page.samples import Samples
from api.page.words import Words
from shared.entry.http import JSON

HERE = Path(__file__).parent
# connect-src: where a form may send to; who serves the page says "the page's own origin only"
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src http: https:; img-src blob:; "
    "base-uri 'none'; form-action 'none'"
)
METHODS = ("get", "put", "post", "patch", "delete")
BINARY = "binary"


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document, as the API has it."""
    fitting, script, style = ((HERE / name).read_text() for name in ("fitting.js", "page.js", "page.css"))
    script = fitting + script
    environment = minijinja.Environment(templates={"page.html": (HERE / "page.html").read_text()})
    components = document["components"]
    operations = list(_operations(document))
    forms = json.dumps([operation["form"] for operation in operations], separators=(",", ":"), ensure_ascii=False)
    words = Words(components["schemas"])
    return environment.render_template(
        "page.html",
        info=document["info"] | {"description": _prose(document["info"]["description"])},
        tags=_by_tag(document["tags"], operations),
        count=len(operations),
        errors=_errors(components["responses"]),
        schemas=[_schema(name, words, components["schemas"]) for name in sorted(components["schemas"])],
        policy=minijinja.safe(POLICY.replace("{script}", _digest(script)).replace("{style}", _digest(style))),
        script=minijinja.safe(script),
        style=minijinja.safe(style),
        forms=minijinja.safe(forms.replace("<", "\\u003c")),
    )


def _digest(text: str) -> str:
    """As policies name it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _prose(text: str) -> Any:
    """Words of the description, which has paragraphs and code in backticks, as HTML."""
    paragraphs = [re.sub("`([^`]+)`", r"<code>\1</code>", escape(part)) for part in text.split("\n\n") if part.strip()]
    return minijinja.safe("".join(f"<p>{part}</p>" for part in paragraphs))


def _by_tag(tags: list[dict[str, Any]], operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [tag | {"operations": [one for one in operations if one["tag"] == tag["name"]]} for tag in tags]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    words, schemas = Words(document["components"]["schemas"]), document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method not in methods:
                continue
            operation = methods[method]
            content = operation.get("requestBody", {}).get("content", {})
            bodies = [_body(media, one, schemas) for media, one in content.items()]
            yield {
                "id": operation["operationId"],
                "tag": operation["tags"][0],
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "description": _prose(operation["description"]),
                "parameters": [words.parameter(one) for one in operation["parameters"]],
                "bodies": [words.body(media, one["schema"]) for media, one in content.items()],
                "optional": not operation.get("requestBody", {}).get("required", True),
                "example": next((one["examples"][0]["text"] for one in bodies if one["examples"]), None),
                "answers": [words.answer(*one) for one in operation["responses"].items() if "$ref" not in one[1]],
                "errors": [_name(one["$ref"]) for one in operation["responses"].values() if "$ref" in one],
                "form": {
                    "id": operation["operationId"],
                    "method": method.upper(),
                    "path": path,
                    "parameters": [_input(one) for one in operation["parameters"]],
                    "bodies": bodies,
                    "required": operation.get("requestBody", {}).get("required", False),
                },
            }


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _input(parameter: dict[str, Any]) -> dict[str, Any]:
    """What the form asks for: choices where there are some."""
    schema = parameter["schema"]
    choices = ["true", "false"] if schema.get("type") == "boolean" else [str(one) for one in schema.get("enum", [])]
    known = {name: parameter[name] for name in ("name", "in", "required")}
    return known | {"choices": choices, "default": str(schema.get("default", ""))}


def _body(media: str, content: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """How the form edits a body: as a text with examples, a file, or fields."""
    schema = content["schema"]
    if "properties" in schema:
        fields = [
            {"name": name, "file": one.get("format") == BINARY, "required": name in schema.get("required", [])}
            for name, one in schema["properties"].items()
        ]
        return {"media": media, "fields": fields, "more": "additionalProperties" in schema, "examples": []}
    if schema.get("format") == BINARY or media != JSON:
        return {"media": media, "file": schema.get("format") == BINARY, "examples": []}
    given = {name: one["value"] for name, one in content.get("examples", {}).items()}
    given = given or {"smallest": Samples(schemas, whole=False).of(schema)}
    shown = [{"name": name, "text": json.dumps(value, indent=2, ensure_ascii=False)} for name, value in given.items()]
    return {"media": media, "file": False, "examples": shown}


def _errors(responses: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "about": one["description"]} for name, one in responses.items()]


def _schema(name: str, words: Words, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = schemas[name]
    example = json.dumps(Samples(schemas).of(schema), indent=1, ensure_ascii=False)
    about = _prose(schema.get("description", ""))
    return {"name": name, "about": about, "type": words.type(schema), "members": words.members(schema)} | {
        "example": example if "properties" in schema else None
    }
