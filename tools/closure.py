"""Which of our modules a module reaches: what a function is built from.

Imports are read from the source, those within functions too. A text that is exactly a module's name counts as an
import of it: `python -m` for a process of its own names it so. A package's name with `.*` behind it counts as an import
of all modules in that package: so do those that are chosen by name, as tasks are.

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
    """All modules that may be deployed: their files by dotted name."""
    files = [file for top in DEPLOYED for file in (ROOT / top).rglob("*.py")]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that one module names, and the packages that they are in."""
    nodes = ast.walk(ast.parse(modules()[module].read_bytes()))
    names = {name for node in nodes for name in _named(node)} & modules().keys()
    return frozenset(parent for name in names for parent in _with_packages(name))


def reached(*starts: str) -> set[str]:
    """All modules that the given ones reach, themselves included."""
    done: set[str] = set()
    ahead = {name for start in starts for name in _with_packages(start)}
    while ahead:
        module = ahead.pop()
        done.add(module)
        ahead |= imports(module) - done
    return done


def of_function(name: str) -> list[Path]:
    """The files that functions/{name} is built from, in order."""
    own = [module for module in modules() if module.startswith(f"functions.{name}.")]
    return sorted(modules()[module] for module in reached(*own))


def _named(node: ast.AST) -> Iterator[str]:
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
