"""What differs between two versions: their manifests, their graphs, their metrics."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.package.manifest import Manifest
from shared.registry.state import Version

# Told apart from the rest of the manifest: what the gate found out about the graph, and what people compare first.
GRAPH = ("graph", "gate", "inputs", "outputs")
Row = dict[str, Any]


def diff(old: Version, old_manifest: Manifest, new: Version, new_manifest: Manifest) -> dict[str, Any]:
    """Rows of {"path", "from", "to"}, in the order of their paths; numbers among the metrics also have "change"."""
    before, after = _flat(old, old_manifest), _flat(new, new_manifest)
    rows: dict[str, list[Row]] = {"manifest": [], "graph": [], "metrics": []}
    for path in sorted(before.keys() | after.keys()):
        left, right = before.get(path), after.get(path)
        if left == right:
            continue
        part = path.partition(".")[0]
        where = "metrics" if part == "metrics" else "graph" if part in GRAPH else "manifest"
        rows[where].append(_row(path.removeprefix("metrics."), left, right))
    return {"from": old.version, "to": new.version, **rows}


def _row(path: str, left: Any, right: Any) -> Row:
    row: Row = {"path": path, "from": left, "to": right}
    if _is_number(left) and _is_number(right):
        row["change"] = round(right - left, 12)
    return row


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(version: Version, manifest: Manifest) -> dict[str, Any]:
    """Dotted paths to values that are no objects. Lists are values: where order matters, a shift is one change."""
    content = msgspec.to_builtins(manifest)
    tensors = {
        side: {tensor["name"]: f"{tensor['datatype']} {tensor['shape']}" for tensor in content.pop(side, [])}
        for side in ("inputs", "outputs")
    }
    graph = {"bytes": version.size, "digest": version.model, "source": version.source}
    found: dict[str, Any] = {}
    _flatten("", {**content, **tensors, "task": manifest.task, "graph": graph}, found)
    return found


def _flatten(path: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(f"{path}.{name}" if path else str(name), inner, into)
    else:
        into[path] = value
