"""Pieces of text, and the way of all text to the terminal. Without rich, which is slow to import."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any

import click

# what the command line draws with, where the terminal has ASCII alone
DRAWN = {
    **dict.fromkeys("█▉▊▋▌", "#"),
    **dict.fromkeys("▍▎▏", ":"),
    **dict(zip("▁▂▃▄▅▆▇", "_.-=+*%", strict=True)),
    "→": "->",
    "·": "-",
    "×": "x",
    "…": "...",
    "┤": "|",
}


def clean(value: Any) -> str:
    """As text without control characters, which could move the cursor or recolor the terminal."""
    import unicodedata  # a shared library: `amaas --help` does without

    return "".join(c for c in str(value) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """A line of text, some of which the service may have sent; without `nl`, a piece of one, shown at once."""
    click.echo(clean(text), err=err, nl=nl)


def drawn_in_ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: bars and arrows as signs of ASCII, all else by its number, as JSON writes it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(DRAWN.get(sign) or json.dumps(sign)[1:-1] for sign in text), error.end


codecs.register_error(ASCII := "amaas.ascii", drawn_in_ascii)


def _takes_all(stream: Any) -> bool:
    """Whether a stream has all signs there are; others would break a text of JSON."""
    return str(getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON that is readable, and has control characters and marks of direction as escapes only."""
    import unicodedata

    text = json.dumps(value, indent=indent, ensure_ascii=not _takes_all(sys.stdout))
    if text.isascii():
        return text
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in ("Cc", "Cf") and c != "\n" and ord(c) < 0x10000 else c
        for c in text
    )


def target_sentence(target: dict[str, Any]) -> str:
    """Where an alias points: `version 3`, or `90 to version 3, 10 to version 4`, and its shadow."""
    split = ", ".join(f"{weight} to version {version}" for version, weight in (target.get("split") or {}).items())
    shadow = f", with version {target['shadow']} as shadow" if target.get("shadow") else ""
    return (split or f"version {target['version']}") + shadow


def target_label(target: dict[str, Any] | None) -> str:
    """The same in a table's cell: `3`, or `3: 90 / 4: 10`, and any shadow in brackets."""
    if not target:
        return "-"
    split = " / ".join(f"{version}: {weight}" for version, weight in (target.get("split") or {}).items())
    return (split or str(target["version"])) + (f" (shadow {target['shadow']})" if target.get("shadow") else "")


def policy_sentence(policy: dict[str, Any]) -> str:
    """Who may move an alias."""
    if policy.get("two_person"):
        return "is moved by two persons"
    return "is moved by scope promote alone" if policy.get("protected") else "is moved by scope write"


def release_sentence(release: dict[str, Any] | None) -> str:
    """How canaries of an alias are watched."""
    if not release:
        return "has no release policy: its canaries are not watched"
    if not (release["abort"] or release["promote"]):
        return "has canaries watched, and moved by persons alone"
    steps = " → ".join(f"{step} %" for step in release["steps"])
    bake = f"{release['bake_minutes']} minutes and {release['least_requests']} calls at least"
    loss = f"if a loss above {100 * release['tolerated_loss']:g} % is excluded"
    metrics = ", ".join(release["metrics"]).replace("_", " ")
    back = f"rolls worse canaries back by {metrics} (alpha {release['alpha']:g})" if release["abort"] else ""
    on = f"goes on by itself, {steps}, {bake}, {loss}" if release["promote"] else "goes on by persons alone"
    return f"{back}; {on}".removeprefix("; ")


def who(record: dict[str, Any]) -> str:
    """Of a token that did something: its name and its id; the id alone where it has no name."""
    name, identity = record.get("name"), record.get("by")
    return f"{name} ({identity})" if name and identity and name != identity else str(name or identity or "")


def excerpts(one: str, other: str, width: int) -> tuple[str, str]:
    """The parts of two texts where they begin to differ, of `width` characters at most, with some of what is before."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    longest = max(len(one), len(other))
    start = 0 if longest <= width else max(0, min(same - width // 3, longest - width))
    return _cut(one, start, width), _cut(other, start, width)


def _cut(text: str, start: int, width: int) -> str:
    before = "…" if start else ""
    shown = text[start + len(before) :]
    room = width - len(before)
    return before + (shown if len(shown) <= room else shown[: room - 1] + "…")


def when(time: Any) -> str:
    """A time as the API writes it, to the second."""
    return str(time or "")[:19].replace("T", " ")


def size(count: float | None) -> str:
    """A number of bytes."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
