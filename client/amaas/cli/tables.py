"""How answers look to people. Machines ask for --json."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

BAR = 30
WIDE = 200  # columns where no terminal says how many: what is piped into grep must not be wrapped


def console() -> Console:
    """Standard output. Names and labels are others' text: no markup is read from them."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def clean(value: Any) -> str:
    """As text without control characters, which could move the cursor or recolour the terminal."""
    return "".join(c for c in str(value) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))


def line(out: Console, bold: Any, *rest: Any) -> None:
    out.print(Text.assemble((clean(bold), "bold"), *(f" {clean(part)}" for part in rest)), soft_wrap=True)


def _table(*headings: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def _row(table: Table, *cells: Any) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else clean("" if cell is None else cell) for cell in cells))


def _when(time: Any) -> str:
    return str(time or "")[:19].replace("T", " ")


def models(out: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("no models yet: `amaas push` brings one")
        return
    table = _table("model", "task", "production", "latest", "updated", right=("production", "latest"))
    for row in rows:
        production = points_to((row.get("aliases") or {}).get("production"))
        name = Text(clean(row["name"]), "bold")
        _row(table, name, row.get("task"), production, row.get("latest"), _when(row.get("updated_at")))
    out.print(table)


def points_to(alias: dict[str, Any] | None) -> str:
    """Where an alias points, in few characters: 3, or 3: 90 / 4: 10, with any shadow in brackets."""
    if not alias:
        return "-"
    split = " / ".join(f"{number}: {weight}" for number, weight in (alias.get("split") or {}).items())
    return (split or str(alias["version"])) + (f" (shadow {alias['shadow']})" if alias.get("shadow") else "")


def model(out: Console, found: dict[str, Any]) -> None:
    line(out, found["name"], " ".join(str(found.get(key) or "") for key in ("task", "licence")).strip())
    named: dict[int, list[str]] = {}
    for name, alias in (found.get("aliases") or {}).items():
        weights = {int(number): weight for number, weight in (alias.get("split") or {}).items()}
        for number in weights or {alias["version"]: 0}:
            named.setdefault(number, []).append(f"{name} {weights[number]}" if weights else name)
        if alias.get("shadow"):
            named.setdefault(alias["shadow"], []).append(f"{name} (shadow)")
    table = _table("version", "aliases", "size", "created", "by", "digest", right=("version", "size"))
    for row in found.get("versions") or []:
        names = Text(clean(", ".join(sorted(named.get(row["version"], [])))), "green")
        if row.get("state") == "retired":
            names = Text("retired", "red")
        digest = str(row.get("digest") or "")[:12]
        _row(table, row["version"], names, size(row.get("size")), _when(row.get("created_at")), row.get("by"), digest)
    out.print(table)
    for asked in found.get("requests") or []:
        who = asked.get("name") or asked.get("by")
        line(out, f"request {asked['request']}:", f"{asked['alias']} → {points_to(asked['target'])}, asked by {who}")
    for name, rule in (found.get("policies") or {}).items():
        if rule.get("two_person"):
            line(out, name, "is moved by two persons")
    if found.get("tags"):
        line(out, "tags", ", ".join(map(str, found["tags"])))
    if found.get("card"):
        out.print()
        out.print(Markdown(clean(found["card"]), hyperlinks=False), width=min(out.width, 100))


def version(out: Console, name: str, found: dict[str, Any]) -> None:
    line(out, name, f"version {found['version']}", found.get("task") or "", size(found.get("size")))
    table = _table("", "")
    for what in ("inputs", "outputs"):
        for tensor in found.get(what) or []:
            shape = "x".join(str(n) if n != -1 else "?" for n in tensor.get("shape") or [])
            _row(table, Text(what[:-1], "dim"), f"{tensor['name']}  {tensor.get('datatype', '')}  {shape}")
    for label, value in (found.get("metrics") or {}).items():
        _row(table, Text(clean(label), "dim"), value)
    for key in ("labels", "licence", "digest", "created_at", "by"):
        if found.get(key):
            _row(table, Text(key.partition("_")[0], "dim"), _detail(key, found[key]))
    for label, value in _gate(found.get("gate") or {}):
        _row(table, Text(label, "dim"), Text(clean(value), "red" if label == "refused" else ""))
    table.show_header = False
    out.print(table)


def _gate(gate: dict[str, Any]) -> list[tuple[str, str]]:
    """What the check on upload found: where, what it changed, how exact the model is, whether it is still served."""
    rows = [("changed", note) for note in (gate.get("optimization") or {}).get("normalized") or []]
    reference = gate.get("reference") or {}
    if reference.get("compared"):
        rows.append(("exact to", f"{reference['noise']:.2%} of what its 8-bit numbers add up to"))
    processor = ((gate.get("runtime") or {}).get("processor") or {}).get("kind")
    if processor and not gate.get("refused"):
        rows.append(("checked on", processor))
    if gate.get("refused"):
        rows.append(("refused", gate["refused"]["reason"]))
    return rows


def _detail(key: str, value: Any) -> str:
    if key == "labels":
        return ", ".join(map(str, value[:10])) + (f" … ({len(value)})" if len(value) > 10 else "")
    return _when(value) if key == "created_at" else str(value)


def predictions(out: Console, answer: dict[str, Any]) -> None:
    line(out, answer["model"], f"version {answer['version']}")
    rows = answer.get("predictions")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "score" in row for row in rows):
        out.print_json(data={key: value for key, value in answer.items() if key not in ("model", "version")})
        return
    table = _table("label", "score", "", right=("score",))
    table.show_header = False
    full = max([1.0, *(row["score"] for row in rows)])  # scores without an activation may exceed 1
    for row in rows:
        _row(table, row.get("label"), f"{row['score']:.4f}", Text(bar(row["score"] / full), "cyan"))
    out.print(table)


def bar(share: float) -> str:
    """A bar of BAR characters at most, in steps of an eighth of one. share: 0 to 1."""
    eighths = round(BAR * 8 * min(max(share, 0.0), 1.0))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def tokens(out: Console, rows: list[dict[str, Any]]) -> None:
    table = _table("id", "name", "scopes", "created", "state")
    for row in rows:
        state = Text("revoked", "red") if row.get("revoked") else Text("active", "green")
        _row(table, row["id"], row["name"], " ".join(row["scopes"]), _when(row.get("created_at")), state)
    out.print(table)


def new_token(out: Console, made: dict[str, Any]) -> None:
    """Alone on its line, so that $(amaas token create …) holds just the token."""
    out.print(clean(made["token"]), soft_wrap=True)


def status(out: Console, found: dict[str, Any]) -> None:
    state = "ready" if found["ready"] else "live, not ready" if found["live"] else "down"
    count = found["models"]
    known = "" if count is None else f"· {count} model{'' if count == 1 else 's'}"
    line(out, state, known, "·", found["url"])


def size(count: float | None) -> str:
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def reasons(out: Console, why: dict[str, Any]) -> None:
    """Parts with what they add to the score, the strongest first; of an image, the place of the strongest."""
    line(out, why["model"], f"{why['label']}: {why['score']:g} ({why['method']})")
    parts = why["attributions"]
    if parts and isinstance(parts[0], list):
        best = max((value, y, x) for y, row in enumerate(parts) for x, value in enumerate(row))
        left, top, right, bottom = why["seen"]
        x, y = (
            left + (best[2] + 0.5) * (right - left) / len(parts[0]),
            top + (best[1] + 0.5) * (bottom - top) / len(parts),
        )
        line(out, "strongest", f"{best[0]:+.4f} around ({x:.0f}, {y:.0f}); --out PNG draws it")
        return
    table = _table("part", "adds", right=("adds",))
    for part in sorted(parts, key=lambda part: -abs(part["attribution"]))[:20]:
        place = f"{part['start']:g} to {part['end']:g} s" if "start" in part and "text" not in part else None
        named = part.get("text") or place or f"{part.get('column')} = {part.get('value')}"
        _row(table, named, f"{part['attribution']:+.4f}")
    out.print(table)


def trainings(out: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("no training jobs yet: `amaas train --data DATA --model MODEL` starts one")
        return
    table = _table("job", "model", "data", "when", "state", "version", "why", right=("version",))
    for row in rows:
        colour = {"succeeded": "green", "failed": "red", "cancelled": "red"}.get(row["state"], "yellow")
        state = Text(row["state"], colour)
        when = _when(row["created_at"])
        _row(table, row["id"], row["model"], row["data"], when, state, row.get("version"), row.get("reason"))
    out.print(table)
