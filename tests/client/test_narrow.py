"""Tables on terminals of any width: no word is cut in two, and nothing of a row is lost."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from amaas.cli.display import history, jobs, models, predictions, tokens
from amaas.cli.display.terminal import Terminal
from amaas.cli.display.text import excerpts

TIME = "2026-11-29T10:00:00Z"
SPLIT = {"production": {"version": 1, "split": {"1": 90, "2": 10}}}
MODEL = {"name": "fashion-mnist", "task": "image-classification", "aliases": SPLIT, "latest": 2, "updated_at": TIME}
RECORD = {"revision": 12, "at": TIME, "name": "ann", "by": "f7ff438ba9c0", "reason": "better on shoes", "kind": "alias"}
JOB = {"id": "1a2283a7415-6f22e841fb19604c", "model": "m", "version": 1, "created_at": TIME, "state": "done"}
TOKEN = {
    "id": "f7ff438ba9c0",
    "name": "ci",
    "scopes": ["infer:fashion-*", "read"],
    "created_at": TIME,
    "expires_at": 4e9,
}
VERSION = {"version": 1, "size": 1234, "created_at": TIME, "by": "f7ff438ba9c0", "digest": "ab" * 32}
UPLOAD = {"upload_id": "u-1", "state": "rejected", "created_at": TIME, "reason": "this is not an ONNX model"}
SCORED = {"predictions": [{"label": "Ankle boot", "score": 0.98}, {"label": "Sandal", "score": 0.01}]}
TABLES: dict[str, tuple[Callable[..., None], Any]] = {
    "models": (models.models, [MODEL, MODEL | {"name": "x"}]),
    "versions": (lambda out, rows: models.versions(out, {"aliases": SPLIT}, rows), [VERSION]),
    "aliases": (models.aliases, {"aliases": SPLIT}),
    "uploads": (models.uploads, [UPLOAD]),
    "history": (history.history, [RECORD | {"aliases": {"production": {"version": 2}}}]),
    "jobs": (jobs.batch_jobs, [JOB | {"inputs": 3, "done": 3, "failed": 0}]),
    "tokens": (tokens.tokens, [TOKEN]),
    "profiles": (tokens.profiles, [{"profile": "default", "url": "https://host/v1", "token": "f7ff", "used": True}]),
    "predictions": (predictions.predictions, {"model": "m", "version": 1} | SCORED),
}


EMPTY = {"uploads": {"version"}}  # headings of cells with nothing in them, which are left out with these


def shown(width: int, show: Callable[..., None], value: Any) -> str:
    out = io.StringIO()
    show(Terminal(file=out, width=width, markup=False, highlight=False, emoji=False, color_system=None), value)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


MODELS_40 = """\
model       fashion-mnist
task        image-classification
production  1: 90 / 2: 10
latest      2
updated     2026-11-29 10:00:00

model       x
task        image-classification
production  1: 90 / 2: 10
latest      2
updated     2026-11-29 10:00:00"""
MODELS_80 = """\
model           task                      production   latest   updated
fashion-mnist   image-classification   1: 90 / 2: 10        2   2026-11-29
                                                                10:00:00
x               image-classification   1: 90 / 2: 10        2   2026-11-29
                                                                10:00:00"""
HISTORY_40 = """\
revision  12
when      2026-11-29 10:00:00
who       ann (f7ff438ba9c0)
what      production → 2
reason    better on shoes"""
JOBS_40 = """\
job      1a2283a7415-6f22e841fb19604c
model    m
version  1
created  2026-11-29 10:00:00
state    done
done     3 of 3
failed   0"""
UPLOADS_40 = """\
upload  u-1
when    2026-11-29 10:00:00
state   rejected
reason  this is not an ONNX model"""
PREDICTIONS_40 = """\
m version 1
Ankle boot   0.9800   ██████████████▊
Sandal       0.0100   ▏"""
PROFILES_40 = """\
profile   url               token
default   https://host/v1   f7ff    used"""


@pytest.mark.parametrize(
    ("table", "width", "expected"),
    [
        ("models", 40, MODELS_40),
        ("models", 80, MODELS_80),
        ("history", 40, HISTORY_40),
        ("jobs", 40, JOBS_40),
        ("uploads", 40, UPLOADS_40),
        ("predictions", 40, PREDICTIONS_40),
        ("profiles", 40, PROFILES_40),
    ],
)
def test_tables_as_they_look(table: str, width: int, expected: str) -> None:
    assert shown(width, *TABLES[table]) == expected


@pytest.mark.parametrize("table", TABLES)
def test_no_word_is_cut_and_none_is_lost(table: str) -> None:
    words = set(shown(500, *TABLES[table]).split())
    bars = {word for word in words if set(word) <= set("█▏▎▍▌▋▊▉")}
    for width in (40, 50, 60, 72, 80, 100, 132):
        narrow = shown(width, *TABLES[table])
        assert max(map(len, narrow.splitlines())) <= width
        assert words - bars - EMPTY.get(table, set()) <= set(narrow.split()), width


@pytest.mark.parametrize(
    ("one", "other", "width", "expected"),
    [
        ("a", "b", 10, ("a", "b")),
        ("same" * 20 + "old", "same" * 20 + "new", 20, ("…samesamesamesameold", "…samesamesamesamenew")),
        ("old" + "same" * 20, "new" + "same" * 20, 10, ("oldsamesa…", "newsamesa…")),
        ("x" * 50 + "1" + "y" * 50, "x" * 50 + "2" + "y" * 50, 12, ("…xxx1yyyyyy…", "…xxx2yyyyyy…")),
        ("x" * 50, "x" * 60, 10, ("…xx", "…xxxxxxxx…")),
        ("", "x" * 60, 10, ("", "xxxxxxxxx…")),
    ],
)
def test_what_differs_is_seen(one: str, other: str, width: int, expected: tuple[str, str]) -> None:
    got = excerpts(one, other, width)
    assert got == expected and got[0] != got[1] and all(len(text) <= width for text in got)


def test_a_difference_in_a_long_list_or_text_is_seen() -> None:
    labels = [f"label {n}" for n in range(100)]
    comparison = {
        "model": "m", "from": 1, "to": 2, "graph": [],
        "metrics": [{"path": "f1", "from": 0.5, "to": 0.6, "change": 0.1}], "manifest": [
            {"path": "labels", "from": labels, "to": [*labels[:70], "shoes", *labels[71:]]},
            {"path": "card", "from": "word " * 99 + "bad", "to": "word " * 99 + "good"},
            {"path": "licence", "from": None, "to": "MIT"},
        ],
    }  # fmt: skip
    told = shown(200, history.differences, comparison)
    assert '"label 70"' in told and '"shoes"' in told and "bad" in told and "good" in told
    assert "MIT" in told and "+0.1" in told
