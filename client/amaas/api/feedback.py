"""Labels for answers, given later: they say how often a version is right."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from amaas.api.connection import Connection, Json
from amaas.errors import AmaasError

TOGETHER = 1000  # labels of a call


class Feedback(Connection):
    def give_labels(self, model: str, labels: Iterable[Json]) -> Json:
        """Say which labels answers should have had. Returns how many were `accepted`, and those that were `refused`.

        labels: of {"answer_id", "label", "item"}. answer_id: as predictions have it; label: one of the model's; item:
        of an answer with several results, which one, 0 if left out. Of each item, the last label counts.
        """
        every = [dict(label) for label in labels]
        accepted, refused = 0, []
        for start in range(0, len(every), TOGETHER):
            body = {"labels": every[start : start + TOGETHER]}
            answer = self._call_once("giveLabels", {"model": model}, json=body)
            accepted += answer["accepted"]
            refused += [{**one, "index": start + one["index"]} for one in answer["refused"]]
        return {"accepted": accepted, "refused": refused}

    def delete_labels(self, model: str) -> Json:
        """Delete all labels that were given to a model's answers. Returns the receipt."""
        return self._call("deleteLabels", {"model": model})


def read_labels(path: Path) -> list[Json]:
    """Labels of a file: JSON lines, or CSV with a header, with answer_id, label and item. Raises AmaasError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _lines(text) if text.lstrip().startswith("{") else _table(text)
        if not rows:
            raise ValueError("it is empty")
        return [_label(row) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise AmaasError(
            f"{path} is no file of labels ({error}): give JSON lines, or CSV with a header, with answer_id and label"
        ) from error


def _lines(text: str) -> Sequence[Json]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _table(text: str) -> Sequence[Json]:
    return list(csv.DictReader(io.StringIO(text)))


def _label(row: Json) -> Json:
    label = {"answer_id": str(row["answer_id"]), "label": str(row["label"])}
    return label | ({"item": int(row["item"])} if row.get("item") not in (None, "") else {})
