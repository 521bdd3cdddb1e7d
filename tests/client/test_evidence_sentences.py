"""A record of the watcher in words, as `amaas history` prints them."""

from __future__ import annotations

from typing import Any

import pytest
from amaas.cli.display.history import describe

Json = dict[str, Any]


def measured(bad: int, stable_bad: int, log_e: float) -> Json:
    counts = {"canary": 40, "canary_bad": bad, "stable": 1360, "stable_bad": stable_bad}
    return counts | {"log_e": log_e, "loss_bound": None}


def record(verdict: str, log_e: float, **metrics: Json) -> Json:
    evidence = {"verdict": verdict, "since": 7, "stable": 3, "canary": 4, "log_e_worse": log_e, "metrics": metrics}
    evidence["policy"] = {"alpha": 0.01, "tolerated_loss": 0.01}
    target = 3 if verdict == "worse" else {"version": 3, "split": {"3": 75, "4": 25}}
    kind = "rollback" if verdict == "worse" else "step"
    return {"kind": kind, "by": "watcher", "aliases": {"production": target}, "evidence": evidence}


@pytest.mark.parametrize(
    ("log_e", "e_value"), [(5.3, "e-value 2e+02"), (9.1, "e-value 9e+03"), (230.0, "e-value 10^100")]
)
def test_why_it_went_back(log_e: float, e_value: str) -> None:
    words = describe(record("worse", log_e, slow=measured(0, 9, 0.1), server_errors=measured(12, 14, 6.0)))
    assert words.startswith(
        "production → back to 3, worse: server errors 12 of 40 (30 %) with version 4, 14 of 1,360 (1 %) "
    )
    assert f"with version 3; {e_value}, needed were 100" in words


def test_why_it_went_on() -> None:
    words = describe(record("no-loss", -0.4, server_errors=measured(0, 14, 6.0), slow=measured(2, 70, 5.0)))
    assert words == (
        "production → 3: 75 / 4: 25, no loss above 1 %: "
        "slow 2 of 40 (5 %) with version 4, 70 of 1,360 (5.1 %) with version 3"
    )
