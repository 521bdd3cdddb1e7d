"""A contract for import-linter that is closed by default: imports that are not listed are forbidden.

Between the top-level folders, and of third-party packages: each import that leaves its folder and is not of the
standard library has a line `importer -> package` in pyproject.toml. An importer is a module, or a room and all that
is in it (`shared.serving.**`). A line that no import needs breaks the contract, too.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class Listed(Contract):
    """folders: whose imports are checked. allowed: lines `importer -> package`, both by dotted name."""

    type_name = "listed"

    folders: list[str] = fields.ListField(subfield=fields.StringField())  # type: ignore[assignment]
    allowed: list[str] = fields.ListField(subfield=fields.StringField())  # type: ignore[assignment]

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        allowed = [_arrow(line) for line in self.allowed]
        used = set()
        broken = []
        for importer, package in sorted(_leaving(graph, set(self.folders))):
            matching = [arrow for arrow in allowed if arrow[1] == package and _covers(arrow[0], importer)]
            used.update(matching)
            if not matching:
                broken.append(f"{importer} -> {package}")
        unused = [" -> ".join(arrow) for arrow in allowed if arrow not in used]
        return ContractCheck(kept=not broken and not unused, metadata={"broken": broken, "unused": unused})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for arrow in check.metadata["broken"]:
            output.print_error(f"{arrow} is not listed: remove the import, or add the line to pyproject.toml")
        for arrow in check.metadata["unused"]:
            output.print_error(f"{arrow} is listed, but no import needs it: remove the line from pyproject.toml")


def _arrow(line: str) -> tuple[str, str]:
    importer, _, package = line.partition("->")
    return importer.strip(), package.strip()


def _leaving(graph: ImportGraph, folders: set[str]) -> set[tuple[str, str]]:
    """Importers in `folders`, with each top-level package that they import from outside their own folder."""
    return {
        (module, package)
        for module in graph.modules
        if module.split(".")[0] in folders
        for package in (name.split(".")[0] for name in graph.find_modules_directly_imported_by(module))
        if package not in sys.stdlib_module_names and package != module.split(".")[0]
    }


def _covers(pattern: str, module: str) -> bool:
    room = pattern.removesuffix(".**")
    return module == room or (pattern != room and fnmatchcase(module, f"{room}.*"))
