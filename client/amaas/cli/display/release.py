"""How a canary does: a sentence on where it is, one on what follows, and a table of the evidence."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console

from amaas.cli.display.history import e_value
from amaas.cli.display.tables import line, row, table
from amaas.cli.display.text import release_sentence, target_sentence

Json = dict[str, Any]
VERDICTS = {"wait": "waits", "roll-back": "goes back", "go-on": "goes on"}


def show(state: Json, out: Console) -> None:
    line(out, f"{state['model']} {state['alias']}", f"points to {target_sentence(state['target'])}")
    stage = state["stage"]
    if stage is None:
        line(out, "not watched:", f"{state['reason']} (`amaas history {state['model']}` says how it came)")
        if state["policy"] is None:
            line(out, "what to do:", f"amaas policy {state['model']} --alias {state['alias']} --on")
        else:
            line(out, "policy:", f"{state['alias']} {release_sentence(state['policy'])}")
        return
    line(
        out,
        "stage:",
        f"version {stage['canary']} has {stage['weight']:.3g} % beside version {stage['stable']}, "
        f"since {stage['began']} ({stage['minutes']:,} minutes, record {stage['since']}); "
        f"next step: {stage['next_step']} %",
    )
    line(out, f"{VERDICTS.get(state['verdict'], state['verdict'])}:", state["reason"])
    if state["obstacle"]:
        line(out, "but is not moved:", state["obstacle"])
    if state["evidence"]["metrics"]:
        _evidence(state["evidence"], stage, out)
    line(out, "policy:", f"{state['alias']} {release_sentence(state['policy'])}")


def _evidence(evidence: Json, stage: Json, out: Console) -> None:
    needed = f"{math.exp(evidence['needed']):,.0f}"
    right = (
        f"version {stage['canary']}",
        f"version {stage['stable']}",
        f"worse (of {needed})",
        f"no loss (of {needed})",
        "excluded from",
    )
    rows = table("metric", *right, right=right)
    for name, one in evidence["metrics"].items():
        bound = one["loss_bound"]
        row(
            rows,
            name.replace("_", " "),
            f"{one['canary_bad']:,} of {one['canary']:,}",
            f"{one['stable_bad']:,} of {one['stable']:,}",
            e_value(one["log_e_worse"]),
            e_value(one["log_e_no_loss"]),
            None if bound is None else f"{100 * bound:g} % more",
        )
    out.print(rows)
    span = f"{evidence['first']} to {evidence['last']}" if evidence["first"] else "no minute is over yet"
    carried = f", {e_value(evidence['carried'])} of it from the steps before" if evidence["carried"] else ""
    line(out, "evidence:", f"e-value {e_value(evidence['log_e_worse'])} of {needed} for worse{carried}; {span}")
    if evidence["left_out"] or evidence["dropped"]:
        text = f"{evidence['left_out']} stored counts cannot be read, {evidence['dropped']:,} calls were not counted"
        line(out, "incomplete:", text)
