"""A model's past: its history, its verification, the differences between its versions."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.text import Text

from amaas.cli.display.tables import line, row, table
from amaas.cli.display.text import as_json, clean, excerpts, release_sentence, target_label, when, who

Json = dict[str, Any]
# kinds of records without a detail of their own
KINDS = {"delete": "deleted", "undelete": "restored", "attest": "signed with the present key"}
PARTS = ("metrics", "graph", "manifest")
VALUE_WIDTH = 60


def history(out: Console, records: list[Json]) -> None:
    rows = table("revision", "when", "who", "what", "reason", right=("revision",))
    for record in records:
        by, what = who(record), describe(record)
        row(rows, record.get("revision"), when(record.get("at")), by, what, record.get("reason"))
    out.print(rows)


def describe(record: Json) -> str:
    """What a record did, in words."""
    events = [*_version_events(record), *_alias_events(record)]
    if record.get("kind") == "edit":
        events += [f"{member} edited" for member in ("card", "tags") if record.get(member) is not None]
    return ", ".join(events) or KINDS.get(str(record.get("kind")), str(record.get("kind", "")))


def _version_events(record: Json) -> list[str]:
    version = record.get("version")
    events = [f"version {version['version']} registered"] if isinstance(version, dict) else []
    events += [f"version {record[kind]} {kind}" for kind in ("retired", "restored") if record.get(kind)]
    if record.get("rechecked"):
        events.append(f"version {record['rechecked']['version']} checked again")
    return events


def _alias_events(record: Json) -> list[str]:
    events = []
    if record.get("request"):
        events.append(f"request {record['request']} {'approved' if record['kind'] == 'approve' else 'rejected'}")
    direction = "back to " if record.get("kind") == "rollback" else ""
    for alias, target in (record.get("aliases") or {}).items():
        events.append(
            f"{alias} → {direction}{target_label(target) if isinstance(target, dict) else target or 'deleted'}"
        )
    if record.get("proposal"):
        move, policy = record["proposal"], record.get("wanted_policy")
        wish = f"that {move['alias']} takes {_required(policy)}" if policy else None
        events.append(f"requested {wish or move['alias'] + ' → ' + target_label(move['target'])}")
    for alias, policy in (record.get("policies") or {}).items():
        events.append(f"{alias} takes {_required(policy)}")
        if policy.get("release"):
            events.append(release_sentence(policy["release"]))
    if record.get("evidence"):
        events.append(evidence_sentence(record["evidence"]))
    return events


def evidence_sentence(evidence: Json) -> str:
    """Why the watcher moved an alias: the counts of the metric that says most, and how much that is."""
    policy, worse = evidence["policy"], evidence["verdict"] == "worse"
    metrics = evidence["metrics"].items()
    name, most = (max if worse else min)(metrics, key=lambda item: item[1]["log_e"])
    counts = (
        f"{name.replace('_', ' ')} {_share(most['canary_bad'], most['canary'])} with version {evidence['canary']}, "
        f"{_share(most['stable_bad'], most['stable'])} with version {evidence['stable']}"
    )
    if worse:
        needed = 1 / policy["alpha"]
        return f"worse: {counts}; e-value {e_value(evidence['log_e_worse'])}, needed were {needed:,.0f}"
    return f"no loss above {100 * policy['tolerated_loss']:g} %: {counts}"


def _share(bad: int, calls: int) -> str:
    return f"{bad:,} of {calls:,} ({100 * bad / max(calls, 1):.2g} %)"


def e_value(log_e: float) -> str:
    """An e-value in two digits, or its power of ten."""
    digits = log_e / math.log(10)
    return f"{math.exp(log_e):.2g}" if digits < 4 else f"10^{digits:.0f}"


def _required(policy: Json) -> str:
    return "two persons" if policy.get("two_person") else f"scope {'promote' if policy.get('protected') else 'write'}"


def verification(out: Console, model: str, report: Json) -> None:
    if report["verified"]:
        line(out, model, f"verified: {report['revision']} records, none changed, dropped or inserted")
    else:
        line(out, model, "does NOT verify")
        rows = table("revision", "what is wrong", right=("revision",))
        for problem in report["problems"]:
            row(rows, problem["revision"], Text(clean(problem["what"]), "red"))
        out.print(rows)
    if report.get("since"):
        line(out, "since", f"revision {report['since']}: earlier records are vouched for by a snapshot alone")
    out.print(f"anchor to keep: {report['revision']}:{clean(report['digest'])}", soft_wrap=True)


def differences(out: Console, comparison: Json) -> None:
    line(out, comparison["model"], f"version {comparison['from']} → version {comparison['to']}")
    if not any(comparison[part] for part in PARTS):
        out.print("no difference")
        return
    rows = table("", "", "from", "to", "change", right=("from", "to", "change"))
    for part in PARTS:
        for difference in comparison[part]:
            change = f"{difference['change']:+g}" if "change" in difference else ""
            values = excerpts(_value(difference["from"]), _value(difference["to"]), VALUE_WIDTH)
            row(rows, Text(part, "dim"), difference["path"], *values, change)
    out.print(rows)


def _value(value: Any) -> str:
    """As one line: a text as it is, and all else as JSON has it."""
    text = "-" if value is None else value if isinstance(value, str) else as_json(value)
    return " ".join(text.split())
