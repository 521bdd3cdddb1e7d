"""How a training looks at a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from amaas.cli.display import curve


def test_the_curve_is_drawn_between_its_lowest_and_highest_value() -> None:
    rows = [{"epoch": n, "validation_accuracy": value, "loss": 9.0} for n, value in enumerate([0.5, 0.75, 1.0])]
    assert curve.picture(rows, height=2).splitlines() == ["validation_accuracy 1", "  1 ┤ ▁█", "0.5 ┤▁██"]
    assert curve.picture([]) == ""
    assert curve.picture([{"epoch": 1}]) == ""
    assert len(curve.picture([{"loss": n} for n in range(500)]).splitlines()[1]) <= 80


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"epoch": 1, "loss": 1.0, "validation_loss": 1.0, "validation_f1": 1.0}, "validation_f1"),
        ({"epoch": 1, "loss": 1.0, "validation_loss": 1.0}, "validation_loss"),
        ({"epoch": 1, "loss": 1.0, "seconds": 2}, "loss"),
        ({"epoch": 1, "note": "x"}, None),
    ],
)
def test_which_metric_is_drawn(row: dict[str, Any], key: str | None) -> None:
    assert curve.metric([row]) == key


def test_at_a_terminal_a_bar_and_the_curve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with curve.training_progress("job", 2, quiet=False) as on_state:
        for n in (1, 2):
            on_state({"state": "running", "attempts": 2, "metrics": [{"epoch": n, "validation_accuracy": n / 2}]})
    shown = capsys.readouterr().err
    assert "validation_accuracy 1" in shown
    assert "running, attempt 2, job" in shown
    assert "2/2" in shown
