"""Reads encoded images and sounds out of Parquet columns, as Hugging Face's data sets hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.data import images, records, sounds
from training.data.records import Records
from training.data.source import Item, Options, Report, Source
from training.errors import TrainingError
from training.options import KindName

DECODED: dict[KindName, Callable[..., Source]] = {"image": images.decoded, "audio": sounds.decoded}


def source(parts: dict[str, Records], kind: KindName, path: Path, options: Options, report: Report) -> Source:
    """A column of bytes, or of {"bytes": …, "path": …}, called as the kind or the only one such; and classes.

    The classes are in options.target, `label`, or the only other column. A path without bytes is not followed.
    """
    train = parts["train"]
    encoded = column(train, kind)
    if encoded is None:
        raise TrainingError(f"{path} has no column of {kind} bytes, but {train.columns[:20]}: --task {kind} needs one")
    others = [name for name in train.columns if name != encoded]
    target = options.target or (others[0] if len(others) == 1 else "label")
    labels, rows = records.classes(parts, target, report)
    items = {split: _items(part, encoded, *rows[split], report) for split, part in parts.items()}
    about = {"name": path.resolve().stem, "licence": None, "source": f"{path.name}, columns {encoded} and {target}"}
    return DECODED[kind](items, labels, options, report, about)


def column(part: Records, kind: KindName | None = None) -> str | None:
    """The column that holds encoded bytes; None where there is none."""
    row = part.rows[0]
    encoded = [name for name in part.columns if _holds_bytes(row.get(name))]
    return kind if kind in encoded else next(iter(encoded), None)


def _holds_bytes(value: Any) -> bool:
    return isinstance(value, bytes) or (
        isinstance(value, dict) and {"bytes", "path"} >= set(value) and "bytes" in value
    )


def _items(part: Records, encoded: str, rows: list[int], targets: Any, report: Report) -> list[Item]:
    items = []
    for row, target in zip(rows, targets.tolist(), strict=True):
        value = part.rows[row].get(encoded)
        body = value.get("bytes") if isinstance(value, dict) else value
        if isinstance(body, bytes) and body:
            items.append(Item(part.places[row], target, body))
        else:
            report.append({"item": part.places[row], "reason": "unreadable", "detail": "no bytes"})
    return items
