"""The template's part in that everything ends: what expires, what looks, what rings; and that stacks go on."""

from __future__ import annotations

import json
import re
import tomllib

from local import deploy
from shared import keys, metrics
from shared.uploads import attempts
from tests.cloud.template import ROOT, TEMPLATE, deployed, region

__all__ = ["region"]  # a fixture


def test_what_expired_or_was_deleted_is_gone_a_day_later_with_its_markers() -> None:
    rules = TEMPLATE["Resources"]["Data"]["Properties"]["LifecycleConfiguration"]["Rules"]
    for prefix in ("uploads/", "batch/", "training/", "idempotency/", "unfinished/"):
        own = [rule for rule in rules if rule["Prefix"] == prefix]
        assert [rule["NoncurrentVersionExpiration"] for rule in own if "NoncurrentVersionExpiration" in rule] == [
            {"NoncurrentDays": 1}
        ]
        assert [rule for rule in own if rule.get("ExpiredObjectDeleteMarker")]
        # S3 takes no days of expiry in the same rule
        assert not [rule for rule in own if rule.get("ExpiredObjectDeleteMarker") and "ExpirationInDays" in rule]


def test_alarms_on_uploads_fall_back_by_themselves() -> None:
    """A metric of what happened in a minute, not of what is there: the second failure rings, too."""
    alarms = {name: r["Properties"] for name, r in TEMPLATE["Resources"].items() if name.endswith("Alarm")}
    for name in ("UploadsFailedAlarm", "IngestFailedAlarm"):
        assert (alarms[name]["Statistic"], alarms[name]["TreatMissingData"]) == ("Sum", "notBreaching")
        assert not alarms[name]["MetricName"].startswith("Approximate")
    assert alarms["UploadsFailedAlarm"]["MetricName"] in metrics.UNITS


def test_the_page_for_who_is_on_call_says_of_each_alarm_what_to_do() -> None:
    page = (ROOT / "docs" / "operations" / "on-call.md").read_text()
    named = re.findall(r"^\|.*", page, re.MULTILINE)
    explained = {name for row in named for name in re.findall(r"`(\w+Alarm)`", row.split("|")[1])}
    assert explained == {name for name in TEMPLATE["Resources"] if name.endswith("Alarm")}


def test_each_scheduled_function_rings_when_it_fails() -> None:
    resources = TEMPLATE["Resources"]
    watched = {
        dimension["Value"]["Ref"]
        for one in resources.values()
        if one["Type"] == "AWS::CloudWatch::Alarm" and one["Properties"]["MetricName"] == "Errors"
        for dimension in one["Properties"]["Dimensions"]
    }
    elsewhere = {"IngestFunction": "IngestFailedAlarm", "ScrubFunction": "ScrubLateAlarm"}
    assert set(elsewhere.values()) <= resources.keys()
    scheduled = {
        name
        for name, one in resources.items()
        for event in one.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "Schedule"
    }
    assert scheduled - watched == elsewhere.keys()


def test_the_looks_come_often_and_have_time() -> None:
    ingest = TEMPLATE["Resources"]["IngestFunction"]["Properties"]
    assert ingest["Timeout"] < attempts.LEASE
    schedule = ingest["Events"]["Unfinished"]["Properties"]
    assert (schedule["Schedule"], json.loads(schedule["Input"])) == ("rate(15 minutes)", {"look": "uploads"})


def test_new_objects_reach_ingest_and_failures_reach_the_queue() -> None:
    resources = deployed()
    notified = resources["Data"]["Properties"]["NotificationConfiguration"]["LambdaConfigurations"]
    prefixes = {item["Filter"]["S3Key"]["Rules"][0]["Value"] for item in notified}
    assert prefixes == {"uploads/", "inbox/", "catalogue/changed/"}
    failed = resources["IngestFunctionEventInvokeConfig"]["Properties"]
    assert failed["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["IngestFailures", "Arn"]}


def test_the_timer_of_the_inbox_calls_ingest_by_the_name_that_ingest_knows() -> None:
    ingest, machine = TEMPLATE["Resources"]["IngestFunction"]["Properties"], TEMPLATE["Resources"]["InboxTimer"]
    name = machine["Properties"]["StateMachineName"]["Fn::Sub"]
    assert ingest["Environment"]["Variables"]["INBOX_TIMER"]["Fn::Sub"].endswith(f":stateMachine:{name}")
    states = machine["Properties"]["Definition"]["States"]
    assert states["Look"]["Parameters"]["FunctionName"] == {"Fn::GetAtt": ["IngestFunction", "Arn"]}
    assert (states["Quiet"]["SecondsPath"], states["Look"]["Parameters"]["Payload.$"]) == ("$.seconds", "$.event")
    assert states["Look"]["Parameters"]["InvocationType"] == "Event", "an event's failures have their queue"


def test_counts_expire_and_their_older_versions_a_day_later() -> None:
    rules = TEMPLATE["Resources"]["Data"]["Properties"]["LifecycleConfiguration"]["Rules"]
    expiry = {
        rule["Prefix"]: rule for rule in rules if rule["Prefix"].startswith("stats/") and "ExpirationInDays" in rule
    }
    assert set(expiry) == {keys.STATS_RAW, keys.STATS_HOURS, "stats/models/"}
    assert all(rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1} for rule in expiry.values())
    days = [expiry[prefix]["ExpirationInDays"] for prefix in (keys.STATS_RAW, keys.STATS_HOURS, "stats/models/")]
    assert days == sorted(days), "a day is made of its hours, and an hour of raw objects"
    parameters = TEMPLATE["Parameters"]
    schedules = TEMPLATE["Resources"]["CountsFunction"]["Properties"]["Events"]
    assert json.loads(schedules["Days"]["Properties"]["Input"]) == {"days": True}
    assert 60 % max(parameters["CountsMinutes"]["AllowedValues"]) == 0


def test_the_dashboard_shows_figures_that_there_are() -> None:
    assert "Condition" in TEMPLATE["Resources"]["ServingDashboard"]
    assert TEMPLATE["Parameters"]["Dashboard"]["Default"] == "", "it has a price"
    body = TEMPLATE["Resources"]["ServingDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    ours = [metric[1] for one in widgets for metric in one["properties"].get("metrics", []) if metric[0] == "Amaas"]
    assert ours and set(ours) <= set(metrics.UNITS)


def test_a_value_that_is_not_allowed_any_more_is_given_by_every_deployment() -> None:
    """Else a stack that has it keeps it, and cannot be upgraded: of RequireQuotaKey, release 0.1 had it empty."""
    assert TEMPLATE["Parameters"]["RequireQuotaKey"]["AllowedValues"] == ["true"]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert "RequireQuotaKey=true" in config["default"]["deploy"]["parameters"]["parameter_overrides"]
    assert deploy._parameters("")["RequireQuotaKey"] == "true"
