"""The JSON Schema of `amaas.json`, made of the structs that read it: `make package-schema` writes it, a test compares.

Editors complete and check a package by it. What a member means is in the docstring of its struct, and becomes the
member's description here. `kind` may be left out, as the task implies it, so a task says which plans it allows.
"""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import msgspec

from api.package_words import KIND, WORDS
from shared.package.manifest import Manifest
from shared.package.tasks import TASKS

FILE = Path(__file__).resolve().parent.parent / "client" / "amaas" / "amaas.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "A package of Amaas: amaas.json"
OF_THE_SERVICE = ("optional", "gate")  # members that no package sets
PLANS = ("preprocess", "postprocess")


def schema() -> dict[str, Any]:
    """The schema as it is written to the file."""
    whole = msgspec.json.schema(Manifest)
    structs: dict[str, Any] = {name: _tidy(one) for name, one in whole["$defs"].items()}
    for struct in _structs(Manifest):
        _describe(structs[struct.__name__], struct.__name__, struct.__doc__ or "")
    package = structs.pop("Manifest")
    members = {name: one for name, one in package["properties"].items() if name not in OF_THE_SERVICE}
    members = {"$schema": {"type": "string", "description": "where this schema is"}, **members}
    members["task"]["enum"] = members["task"].pop("examples")
    rules = [_of_task(task, structs) for task in TASKS]
    described = {"type": "object", "properties": members, "allOf": rules, "$defs": structs}
    return {"$schema": DIALECT, "title": TITLE, **described}


def _of_task(name: str, structs: dict[str, Any]) -> dict[str, Any]:
    """What preprocess and postprocess may be where the task is `name`."""
    task = TASKS[name]
    by_kind = {
        one["properties"]["kind"]["const"]: title for title, one in structs.items() if "kind" in one["properties"]
    }
    allowed = {}
    for member, kinds in zip(PLANS, (task.preprocess, task.postprocess), strict=True):
        plans = [{"$ref": f"#/$defs/{by_kind[kind]}"} for kind in kinds]
        # of several kinds, the first is meant where none is said
        others = [{"allOf": [plan, {"required": ["kind"]}]} for plan in plans[1:]]
        allowed[member] = {"anyOf": [*plans[:1], *others, {"type": "null"}]}
    then: dict[str, Any] = {"properties": allowed}
    then |= {"required": list(task.required)} if task.required else {}
    return {"if": {"properties": {"task": {"const": name}}, "required": ["task"]}, "then": then}


def _structs(struct: type) -> list[type]:
    """A struct and all that its members may be."""
    seen: dict[type, None] = {}
    waiting: list[Any] = [struct]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            if one not in seen:
                seen[one] = None
                waiting += typing.get_type_hints(one).values()
        else:
            waiting += typing.get_args(one)
    return list(seen)


def _tidy(schema: Any) -> Any:
    """Without what only generators of code need, and with constants where there is one value."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: _tidy(one) for name, one in schema.items() if name != "discriminator"}
    if isinstance(tidy.get("required"), list):
        tidy["required"] = [name for name in tidy["required"] if name != "kind"]
    if isinstance(tidy.get("enum"), list) and len(tidy["enum"]) == 1:
        tidy["const"] = tidy.pop("enum")[0]
    return tidy


def _describe(described: dict[str, Any], title: str, docstring: str) -> None:
    """Put what a struct's docstring, or package_words, says of its members to the members."""
    text = " ".join(docstring.split())
    members = described["properties"]
    described |= {"description": re.split(r"(?<=\.) ", text)[0]} if text else {}
    names = rf"\b(?:{'|'.join(map(re.escape, members))})\b"
    marks = list(re.finditer(rf"(?:(?<=[.;:] )|^)((?:{names}(?:, | and )?)+): ", text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=bool(marks)):
        for name in re.findall(names, mark[1]):
            members[name].setdefault("description", text[mark.end() : end].strip(" ;."))
    for name, member in members.items():
        said = KIND if name == "kind" else WORDS.get(f"{title}.{name}")
        member |= {"description": said} if said else {}


def source() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")
