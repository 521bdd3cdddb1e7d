"""The source of a TypeScript program that calls every operation, by the types that a generator made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from api.document import document
from tests.cloud.generated_arguments import OPERATIONS, Operation

HEAD = Path(__file__).with_name("typescript") / "head.ts"
NAME = re.compile(r'"\{(\w+)\}"')
FORM = (
    "bodySerializer: (body) => { const form = new FormData(); form.set('model', body.model); "
    "form.set('file', new Blob(['RIFF']), 'sound.wav'); return form; }"
)


def source(url: str, tokens: dict[str, str], names: dict[str, str]) -> str:
    """names: of what is there before. Each call prints its operation, status, and what it was answered."""
    head = HEAD.read_text().replace("URL_OF_SERVICE", json.dumps(url))
    clients = [f"const {who} = client({json.dumps(tokens[who])});" for who in ("ann", "bob")]
    clients += [f"const stream = events({json.dumps(tokens['ann'])});"]
    known = [f"const {name} = {json.dumps(value)};" for name, value in names.items()]
    places = {
        one["operationId"]: (path, method) for path, ways in document()["paths"].items() for method, one in ways.items()
    }
    declared = set[str]()
    calls = [line for name, told in OPERATIONS.items() for line in _call(name, told, *places[name], declared)]
    return "\n".join([head, *clients, *known, *calls, ""])


def _call(operation: str, told: Operation, path: str, method: str, declared: set[str]) -> list[str]:
    is_stream = not told.parsed
    who = "stream" if is_stream else told.by
    options = _options(told, path) + (['parseAs: "stream"'] if is_stream else [])
    lines = [f"const {operation} = await {who}.{method.upper()}({json.dumps(path)}, {{ {', '.join(options)} }});"]
    data = f"await first({operation}.data)" if is_stream else f"{operation}.data"
    lines += [f"report('{operation}', {operation}.response.status, {data}, {operation}.error);"]
    lines += [f"const {operation}Known: Known<typeof {operation}.data> = true;"]
    for name, member in told.keeps.items():
        lines += [f"{'' if name in declared else 'let '}{name} = present({operation}.data).{member};"]
        declared.add(name)
    return lines


def _options(told: Operation, path: str) -> list[str]:
    arguments = {name.rstrip("_"): value for name, value in told.arguments.items()}
    in_path = {name: value for name, value in arguments.items() if f"{{{name}}}" in path}
    in_query = {name: value for name, value in arguments.items() if name not in in_path}
    params = [f"{place}: {_literal(some)}" for place, some in (("path", in_path), ("query", in_query)) if some]
    options = [f"params: {{ {', '.join(params)} }}"] if params else []
    if told.body is None:
        return options
    if "file" in told.body:
        return [*options, f"body: {_literal(told.body | {'file': 'the form has it'})}", FORM]
    return [*options, f"body: {_literal(told.body)}"]


def _literal(value: Any) -> str:
    """The value in TypeScript; {name} in a text is the variable of that name."""
    return NAME.sub(r"\1", json.dumps(value))
