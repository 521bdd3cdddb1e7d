"""The closure of a module's imports among our own modules: a function is built from it.

Imports are read from the source, those within functions too. A string that is exactly a module's name counts as an
import of it: processes that are started with `python -m` are named that way. A package's name with `.*` behind it is an
import of all modules in that package: it stands where modules are chosen by name, as tasks are.

python -m tools.closure    prints how many modules each function is built from
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPLOYED = ("functions", "shared")


@cache
def modules() -> dict[str, Path]:
    """Files of all modules that may be deployed, by dotted name."""
    files = [file for top in DEPLOYED for file in (ROOT / top).rglob("*.py")]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that one module imports, and the packages that contain them."""
    nodes = ast.walk(ast.parse(modules()[module].read_bytes()))
    names = {name for node in nodes for name in _imported_names(node)} & modules().keys()
    return frozenset(parent for name in names for parent in _with_packages(name))


def reached(*starts: str) -> set[str]:
    """All modules that the given ones import, directly or not; themselves included."""
    closure: set[str] = set()
    pending = {name for start in starts for name in _with_packages(start)}
    while pending:
        module = pending.pop()
        closure.add(module)
        pending |= imports(module) - closure
    return closure


def of_function(name: str) -> list[Path]:
    """The files that functions/{name} is built from, in order."""
    own = [module for module in modules() if module.startswith(f"functions.{name}.")]
    return sorted(modules()[module] for module in reached(*own))


def _imported_names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield module
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.ImportFrom(level=level) if level:
            raise ValueError(f"a relative import, line {node.lineno}: name the module in full")
        case ast.Constant(value=str(text)) if text.endswith(".*"):
            yield from (name for name in modules() if name.rpartition(".")[0] == text.removesuffix(".*"))
        case ast.Constant(value=str(text)):
            yield text


def _with_packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def main() -> None:
    whole = len([module for module in modules() if module.startswith("shared")])
    for folder in sorted(path.parent for path in (ROOT / "functions").glob("*/app.py")):
        files = [file for file in of_function(folder.name) if file.is_relative_to(ROOT / "shared")]
        lines = sum(len(file.read_bytes().splitlines()) for file in files)
        print(f"{folder.name:<14} {len(files):>4} of {whole} modules of shared, {lines:>6} lines")


if __name__ == "__main__":
    main()
