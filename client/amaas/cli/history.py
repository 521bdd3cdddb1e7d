"""How a model's past looks to people: its history, its verification, the differences between its versions."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from amaas.cli.tables import _row, _table, _when, clean, line, points_to


def history(out: Console, records: list[dict[str, Any]]) -> None:
    table = _table("revision", "when", "who", "what", "why", right=("revision",))
    for row in records:
        who = row.get("name") or row.get("by")
        _row(table, row.get("revision"), _when(row.get("at")), who, what(row), row.get("reason"))
    out.print(table)


def what(record: dict[str, Any]) -> str:
    """What a record did, in words."""
    made, said = record.get("version"), []
    if isinstance(made, dict):
        said.append(f"version {made['version']} registered")
    if record.get("request"):
        said.append(f"request {record['request']} {'approved' if record['kind'] == 'approve' else 'rejected'}")
    back = "back to " if record.get("kind") == "rollback" else ""
    for name, to in (record.get("aliases") or {}).items():
        place = points_to(to) if isinstance(to, dict) else to or "gone"
        said.append(f"{name} → {back}{place}")
    if record.get("proposal"):
        asked = record["proposal"]
        said.append(f"asked for {asked['alias']} → {points_to(asked['target'])}")
    for alias, rule in (record.get("policies") or {}).items():
        how = "two persons" if rule.get("two_person") else "scope promote" if rule.get("protected") else "scope write"
        said.append(f"{alias} takes {how}")
    for kind in ("retired", "restored"):
        if record.get(kind):
            said.append(f"version {record[kind]} {kind}")
    if record.get("rechecked"):
        said.append(f"version {record['rechecked']['version']} checked again")
    if record.get("kind") == "edit":
        said += [f"{name} edited" for name in ("card", "tags") if record.get(name) is not None]
    return ", ".join(said) or PLAIN.get(str(record.get("kind")), str(record.get("kind", "")))


PLAIN = {"delete": "deleted", "undelete": "restored", "attest": "signed with the present key"}


def verified(out: Console, model: str, found: dict[str, Any]) -> None:
    if found["verified"]:
        line(out, model, f"verified: {found['revision']} records, none changed, dropped or inserted")
    else:
        line(out, model, "does NOT verify")
        table = _table("revision", "what is wrong", right=("revision",))
        for problem in found["problems"]:
            _row(table, problem["revision"], Text(clean(problem["what"]), "red"))
        out.print(table)
    if found.get("since"):
        line(out, "since", f"revision {found['since']}: what lies before it is vouched for by a snapshot alone")
    out.print(f"anchor to keep: {found['revision']}:{clean(found['digest'])}", soft_wrap=True)


def differences(out: Console, found: dict[str, Any]) -> None:
    line(out, found["model"], f"version {found['from']} → version {found['to']}")
    if not any(found[part] for part in ("metrics", "graph", "manifest")):
        out.print("no difference")
        return
    table = _table("", "", "from", "to", "change", right=("from", "to", "change"))
    for part in ("metrics", "graph", "manifest"):
        for row in found[part]:
            change = f"{row['change']:+g}" if "change" in row else ""
            _row(table, Text(part, "dim"), row["path"], *(_value(row[side]) for side in ("from", "to")), change)
    out.print(table)


def _value(value: Any) -> str:
    text = "-" if value is None else " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def uploads(out: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("no uploads yet: `amaas push` sends one")
        return
    table = _table("upload", "when", "state", "version", "why", right=("version",))
    for row in rows:
        colour = {"registered": "green", "rejected": "red"}.get(row["state"], "yellow")
        state = Text(row["state"], colour)
        _row(table, row["upload_id"], _when(row.get("created_at")), state, row.get("version"), row.get("reason"))
    out.print(table)
