"""Figures as CloudWatch reads them: its embedded metric format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import metrics
from tests.cloud.template import TEMPLATE


def written(capsys: pytest.CaptureFixture) -> dict:
    [line] = capsys.readouterr().out.splitlines()
    return json.loads(line)


def assert_embedded(line: dict, names: list[str], dimensions: list[str]) -> None:
    """As CloudWatch's specification has it: each metric and dimension is a member of the root, of the right type."""
    assert isinstance(line["_aws"]["Timestamp"], int)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == (metrics.NAMESPACE, [dimensions])
    assert [metric["Name"] for metric in directive["Metrics"]] == names
    assert all(metric["Unit"] == metrics.UNITS[metric["Name"]] for metric in directive["Metrics"])
    assert all(isinstance(line[name], (int, float)) for name in names)
    assert all(isinstance(line[name], str) for name in dimensions)


def test_one_figure_by_its_dimensions(capsys: pytest.CaptureFixture) -> None:
    metrics.emit("ShadowDropped", 2, service="shadow", model="m")
    line = written(capsys)
    assert_embedded(line, ["ShadowDropped"], ["service", "model"])
    assert (line["ShadowDropped"], line["model"], line["message"], line["level"]) == (2, "m", "ShadowDropped", "INFO")


def test_figures_that_belong_together_are_one_line_with_its_context(capsys: pytest.CaptureFixture) -> None:
    context = {"path": Path("/tmp"), "odd": {1: {2}}, "text": 'line\n{"level": "ERROR"}', "half": "\ud800"}
    metrics.event("call", {"Duration": 1.5, "Errors": 0}, {"service": "s"}, context)
    line = written(capsys)
    assert_embedded(line, ["Duration", "Errors"], ["service"])
    assert (line["path"], line["text"], line["half"]) == ("/tmp", context["text"], "\ud800")


def test_a_figure_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError):
        metrics.emit("Nonsense", 1, service="s")


EMIT = """
from shared import metrics
metrics.event("call", {"Errors": 1}, {"service": "s"}, {"path": "/x"})
"""


@pytest.mark.parametrize(("level", "context"), [("DEBUG", True), ("INFO", True), ("WARN", False), ("ERROR", False)])
def test_every_level_has_the_figures(level: str, context: bool) -> None:
    """Lambda drops lines below its level, and takes one without a level for INFO: so a line bears one that passes."""
    env = {"PATH": os.defpath, "AWS_LAMBDA_LOG_LEVEL": level}
    done = subprocess.run([sys.executable, "-c", EMIT], env=env, capture_output=True, text=True, check=True)
    line = json.loads(done.stdout)
    assert_embedded(line, ["Errors"], ["service"])
    assert ("path" in line) == context
    assert line["level"] == ("INFO" if context else level)


def test_alarms_watch_figures_that_there_are() -> None:
    alarms = [one["Properties"] for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    ours = [alarm["MetricName"] for alarm in alarms if not alarm["Namespace"].startswith("AWS/")]
    assert ours
    assert all(alarm["Namespace"] == metrics.NAMESPACE for alarm in alarms if alarm["MetricName"] in ours)
    assert set(ours) <= set(metrics.UNITS)
