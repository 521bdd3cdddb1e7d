"""Checks that files have at most 300 lines, and functions at most 40.

Exceptions are in pyproject.toml, each by name: tables of cases, never code that decides.

python -m tools.lengths
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

FILE = 300
FUNCTION = 40


def too_long(path: str, source: bytes) -> Iterator[str]:
    """The file, as `path`, and its functions, as `path::function`, that are too long."""
    if len(source.splitlines()) > FILE:
        yield path
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > FUNCTION:
            yield f"{path}::{node.name}"


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def main() -> int:
    listing = subprocess.run(["git", "ls-files", "*.py"], check=True, capture_output=True, text=True).stdout
    paths = [path for path in listing.splitlines() if Path(path).is_file()]
    long = {name for path in paths for name in too_long(path, Path(path).read_bytes())}
    allowed = set(tomllib.loads(Path("pyproject.toml").read_text())["tool"]["lengths"]["exceptions"])
    for name in sorted(long - allowed):
        print(f"{name} is too long: at most {FILE} lines per file, {FUNCTION} per function; split it")
    for name in sorted(allowed - long):
        print(f"{name} is not too long: take it off tool.lengths.exceptions in pyproject.toml")
    return 1 if long ^ allowed else 0


if __name__ == "__main__":
    sys.exit(main())
