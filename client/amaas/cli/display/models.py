"""Models, their versions, aliases and uploads."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from amaas.cli.display.tables import UPLOAD_COLORS, line, row, state, table
from amaas.cli.display.text import clean, policy_sentence, size, target_label, when, who

Json = dict[str, Any]
CARD_WIDTH = 100
LABELS_SHOWN = 10


def models(out: Console, models: list[Json]) -> None:
    if not models:
        out.print("no models yet: `amaas push` brings one")
        return
    rows = table("model", "task", "production", "latest", "updated", right=("production", "latest"))
    for model in models:
        production = target_label((model.get("aliases") or {}).get("production"))
        name = Text(clean(model["name"]), "bold")
        row(rows, name, model.get("task"), production, model.get("latest"), when(model.get("updated_at")))
    out.print(rows)


def model(out: Console, model: Json) -> None:
    line(out, model["name"], " ".join(str(model.get(key) or "") for key in ("task", "licence")).strip())
    out.print(_versions(model.get("versions") or [], _aliases_by_version(model.get("aliases") or {})))
    _requests(out, model)
    for name, policy in (model.get("policies") or {}).items():
        if policy.get("two_person"):
            line(out, name, policy_sentence(policy))
    if model.get("tags"):
        line(out, "tags", ", ".join(map(str, model["tags"])))
    if model.get("card"):
        out.print()
        out.print(Markdown(clean(model["card"]), hyperlinks=False), width=min(out.width, CARD_WIDTH))


def versions(out: Console, model: Json, versions: list[Json]) -> None:
    out.print(_versions(versions, _aliases_by_version(model.get("aliases") or {})))


def aliases(out: Console, model: Json) -> None:
    rows = table("alias", "target", "moved by")
    policies = model.get("policies") or {}
    for name, target in (model.get("aliases") or {}).items():
        mover = policy_sentence(policies.get(name) or {}).removeprefix("is moved by ")
        row(rows, Text(clean(name), "bold"), target_label(target), mover)
    out.print(rows)
    _requests(out, model)


def _aliases_by_version(aliases: Json) -> dict[int, list[str]]:
    """What points to each version: `production`, with its weight in a split, or as its shadow."""
    names: dict[int, list[str]] = {}
    for name, target in aliases.items():
        weights = {int(number): weight for number, weight in (target.get("split") or {}).items()}
        for number in weights or {target["version"]: 0}:
            names.setdefault(number, []).append(f"{name} {weights[number]}" if weights else name)
        if target.get("shadow"):
            names.setdefault(target["shadow"], []).append(f"{name} (shadow)")
    return names


def _versions(versions: list[Json], aliases: dict[int, list[str]]) -> Table:
    rows = table("version", "aliases", "size", "created", "by", "digest", right=("version", "size"))
    for version in versions:
        names = Text(clean(", ".join(sorted(aliases.get(version["version"], [])))), "green")
        if version.get("state") == "retired":
            names = Text("retired", "red")
        created, digest = when(version.get("created_at")), str(version.get("digest") or "")[:12]
        row(rows, version["version"], names, size(version.get("size")), created, version.get("by"), digest)
    return rows


def _requests(out: Console, model: Json) -> None:
    for request in model.get("requests") or []:
        requester = who(request)
        move = f"{request['alias']} → {target_label(request['target'])}"
        if request.get("policy"):
            move = f"that {request['alias']} {policy_sentence(request['policy'])}"
        line(out, f"request {request['request']}:", f"{move}, requested by {requester}")


def version(out: Console, name: str, version: Json) -> None:
    line(out, name, f"version {version['version']}", version.get("task") or "", size(version.get("size")))
    rows = table("", "", header=False)
    for side in ("inputs", "outputs"):
        for tensor in version.get(side) or []:
            shape = "x".join(str(n) if n != -1 else "?" for n in tensor.get("shape") or [])
            row(rows, Text(side[:-1], "dim"), f"{tensor['name']}  {tensor.get('datatype', '')}  {shape}")
    for label, value in (version.get("metrics") or {}).items():
        row(rows, Text(clean(label), "dim"), value)
    for key in ("labels", "licence", "digest", "created_at", "by"):
        if version.get(key):
            row(rows, Text(key.partition("_")[0], "dim"), _detail(key, version[key]))
    for label, value in _checks(version.get("gate") or {}):
        row(rows, Text(label, "dim"), Text(clean(value), "red" if label == "refused" else ""))
    out.print(rows)


def _checks(gate: Json) -> list[tuple[str, str]]:
    """What the checks on upload changed and measured, on which processor, and whether the version is still served."""
    rows = [("changed", change) for change in (gate.get("optimization") or {}).get("normalized") or []]
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
        more = f" … ({len(value)})" if len(value) > LABELS_SHOWN else ""
        return ", ".join(map(str, value[:LABELS_SHOWN])) + more
    return when(value) if key == "created_at" else str(value)


def uploads(out: Console, uploads: list[Json], *, of_all: bool = False) -> None:
    """of_all: they are of several models, which are named."""
    if not uploads:
        out.print("no uploads yet: `amaas push` sends one")
        return
    model = ("model",) if of_all else ()
    rows = table("upload", *model, "when", "state", "version", "reason", right=("version",))
    for upload in uploads:
        colored, created = state(upload["state"], UPLOAD_COLORS), when(upload.get("created_at"))
        names = [upload.get("model")] if of_all else []
        row(rows, upload["upload_id"], *names, created, colored, upload.get("version"), upload.get("reason"))
    out.print(rows)


def redriven(out: Console, uploads: list[Json]) -> None:
    if not uploads:
        out.print("nothing has failed: the queue is empty")
        return
    rows = table("upload", "model", "outcome", "state")
    for upload in uploads:
        row(rows, upload.get("upload_id"), upload.get("model"), upload["outcome"], upload.get("state"))
    out.print(rows)


def status(out: Console, status: Json) -> None:
    state = "ready" if status["ready"] else "live, not ready" if status["live"] else "down"
    count = status["models"]
    number = [] if count is None else ["·", f"{count} model{'' if count == 1 else 's'}"]
    line(out, state, *number, "·", status["url"])
