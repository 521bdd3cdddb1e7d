"""Differences between two versions: in their manifests, graphs and metrics."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.package.manifest import Manifest
from shared.registry.state import Version

# what the gate read from the graph, and the package's files (weights, a tokenizer): apart from what people wrote
GRAPH = ("graph", "gate", "inputs", "outputs", "files")
Row = dict[str, Any]


def diff(old: Version, old_manifest: Manifest, new: Version, new_manifest: Manifest) -> dict[str, Any]:
    """Rows of {"path", "from", "to"}, ordered by path; rows of two numbers also have "change"."""
    old_values, new_values = _flatten(old, old_manifest), _flatten(new, new_manifest)
    rows: dict[str, list[Row]] = {"manifest": [], "graph": [], "metrics": []}
    for path in sorted(old_values.keys() | new_values.keys()):
        old_value, new_value = old_values.get(path), new_values.get(path)
        if old_value == new_value:
            continue
        part = path.partition(".")[0]
        section = "metrics" if part == "metrics" else "graph" if part in GRAPH else "manifest"
        rows[section].append(_row(path.removeprefix("metrics."), old_value, new_value))
    return {"from": old.version, "to": new.version, **rows}


def _row(path: str, old: Any, new: Any) -> Row:
    row: Row = {"path": path, "from": old, "to": new}
    if _is_number(old) and _is_number(new):
        row["change"] = round(new - old, 12)  # digits: 0.3 - 0.1 is not to be 0.19999999999999998
    return row


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flatten(version: Version, manifest: Manifest) -> dict[str, Any]:
    """All values but objects, by dotted path. A list is one value, so that an inserted item is one difference."""
    content = msgspec.to_builtins(manifest)
    tensors = {
        side: {tensor["name"]: f"{tensor['datatype']} {tensor['shape']}" for tensor in content.pop(side, [])}
        for side in ("inputs", "outputs")
    }
    graph = {"bytes": version.size, "digest": version.model, "source": version.source}
    values: dict[str, Any] = {}
    _add_values("", {**content, **tensors, "task": manifest.task, "graph": graph}, values)
    values |= {f"files.{name}": digest for name, digest in version.files.items()}
    return values


def _add_values(path: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _add_values(f"{path}.{name}" if path else str(name), inner, into)
    else:
        into[path] = value
