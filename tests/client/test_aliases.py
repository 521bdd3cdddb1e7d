"""The verbs that change what is served and look back on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from amaas.client import Client
from amaas.errors import ApiError

from shared import keys
from shared.registry import models
from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.gateway import Service, Trouble
from tests.registry.conftest import push

pytestmark = pytest.mark.usefixtures("three_versions")
DIGEST = "0" * 64


def test_promote_split_and_roll_back(amaas: Run) -> None:
    shown = amaas("promote", "m", "2", "--reason", "better").stdout
    assert shown.startswith("m production is now version 2 (a rollback goes to version 1), in effect everywhere within")
    assert "90 to version 2, 10 to version 3" in amaas("split", "m", "2=90", "3=10").stdout
    assert "2: 90 / 3: 10" in amaas("ls").stdout
    shown = amaas("show", "m").stdout
    assert "production 90" in shown
    assert "production 10" in shown
    moved = amaas("promote", "m", "1").stdout
    assert "is now version 1 (a rollback goes to 90 to version 2, 10 to version 3), in effect" in moved
    assert "is now 90 to version 2, 10 to version 3 (a rollback goes to version 2)" in amaas("rollback", "m").stdout
    output = amaas("rollback", "m", "--reason", "night").stdout
    assert "production is now version 2 (a rollback goes to version 1)" in output
    assert "production is now version 1, in effect" in amaas("rollback", "m").stdout
    assert "no previous target to roll back to" in amaas("rollback", "m", code=1).stderr
    assert "production is now version 3" in amaas("rollback", "m", "--to", "3").stdout
    rows = amaas("history", "m", "--limit", "7").stdout.splitlines()
    assert len(rows) == 8
    assert "production → back to 3" in rows[1]
    assert "ann" in rows[1]
    assert "night" in rows[3]
    assert "production → back to 2: 90 / 3: 10" in rows[4]
    assert "production → 2: 90 / 3: 10" in rows[6]
    assert len(json.loads(amaas("history", "m", "--all", "--json").stdout)) == 10


def test_splits_that_are_none(amaas: Run) -> None:
    for wrong in ("3", "a=1", "3=x", "=5"):
        assert "is not VERSION=WEIGHT" in amaas("split", "m", wrong, code=2).stderr
    assert "no version 9" in amaas("split", "m", "1=50", "9=50", code=1).stderr
    assert "version 1 is given twice" in amaas("split", "m", "1=50", "1=50", code=2).stderr


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (("1=50", "2=40"), "have to be 100 in all, and are 90; in these parts, 1=56 2=44"),
        (("1=1", "2=1", "3=1"), "and are 3; in these parts, 1=34 2=33 3=33"),
        (("1=90", "2=20"), "and are 110; in these parts, 1=82 2=18"),
        (("1=0", "2=0"), "have to be 100 in all, and are 0"),
        (("1=5",), "and are 5; in these parts, 1=100"),
    ],
)
def test_weights_are_a_hundred_in_all(amaas: Run, service: Service, weights: tuple[str, ...], told: str) -> None:
    shown = " ".join(amaas("split", "m", *weights, code=2).stderr.split())
    assert told in shown and not service.calls
    if "parts, " in told:
        amaas("split", "m", *told.partition("parts, ")[2].split())


def test_history_has_names_and_ids(amaas: Run, service: Service) -> None:
    amaas("promote", "m", "2")
    identity = service.tokens["ann"].split("_")[1]
    assert f"ann ({identity})" in amaas("history", "m", "--limit", "1").stdout


def test_a_lost_reply_is_repeated_and_carried_out_once(client: Client, service: Service, log: Log) -> None:
    client.promote("m", 2)
    client.promote("m", 3, expect_revision=4)
    service.trouble = [Trouble("POST", "rollback", 0, times=2, after=True)]
    assert client.rollback("m", expect_revision=5)["version"] == 2
    assert models.get(log, "m").revision == 6
    with pytest.raises(ApiError, match="at revision 6, not 5"):
        client.promote("m", 1, expect_revision=5)


def test_two_persons(amaas: Run) -> None:
    assert "moved by two persons" in amaas("protect", "m", "production", "--two-person").stdout
    assert "create a move request" in amaas("promote", "m", "2", code=1).stderr
    output = amaas("promote", "m", "2", "--request", "--reason", "better").stdout
    assert output == "m request 5 waits for somebody else: amaas approve m 5\n"
    shown = amaas("show", "m").stdout
    assert "request 5: production → 2, requested by ann" in shown
    assert "production is moved by two persons" in shown
    assert "your own" in amaas("approve", "m", "5", code=1).stderr
    assert "production is now version 2" in amaas("approve", "m", "5", by="bob").stdout
    amaas("promote", "m", "3", "--request")
    assert "request 7 is closed" in amaas("reject", "m", "7").stdout
    what = amaas("history", "m").stdout
    for words in ("request 5 approved, production → 2", "requested production → 3", "request 7 rejected"):
        assert words in what
    assert "production takes two persons" in what
    assert "requires two persons" in amaas("protect", "m", "production", "--off", code=1).stderr
    output = amaas("protect", "m", "production", "--off", "--request", "--reason", "alone").stdout
    assert output == "m request 9 waits: another person runs amaas approve m 9\n"
    assert "request 9: that production is moved by scope promote alone, requested by ann" in amaas("show", "m").stdout
    assert "your own" in amaas("approve", "m", "9", code=1).stderr
    amaas("approve", "m", "9", by="bob")
    assert "scope promote alone" in amaas("alias", "ls", "m").stdout
    what = amaas("history", "m").stdout
    for words in (
        "requested that production takes scope promote",
        "request 9 approved, production takes scope promote",
    ):
        assert words in what
    amaas("protect", "m", "production", "--off", "--two-person", code=2)
    assert "is moved by scope write" in amaas("protect", "m", "production", "--below-default").stdout
    assert "is moved by scope promote alone" in amaas("protect", "m", "production", "--off").stdout


def test_aliases_are_listed_and_removed(amaas: Run) -> None:
    amaas("promote", "m", "2", "--alias", "staging", "--shadow", "3")
    amaas("protect", "m", "production")
    amaas("alias", "protect", "m", "staging", "--two-person")
    rows = [line.split("  ") for line in amaas("alias", "ls", "m").stdout.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[1:] == [["production", "1", "scope promote alone"], ["staging", "2 (shadow 3)", "two persons"]]
    assert json.loads(amaas("alias", "ls", "m", "--json").stdout)["aliases"]["staging"]["shadow"] == 3
    amaas("alias", "protect", "m", "staging", "--off", code=1)
    amaas("alias", "protect", "m", "staging", "--off", "--request")
    number = json.loads(amaas("alias", "ls", "m", "--json").stdout)["requests"][0]["request"]
    amaas("approve", "m", str(number), by="bob")
    assert "staging is removed" in amaas("alias", "rm", "m", "staging", "--reason", "unused").stdout
    assert "staging → deleted" in amaas("history", "m").stdout
    amaas("alias", "rm", "m", "production", code=1)


def test_retire_delete_and_restore(amaas: Run, log: Log) -> None:
    assert amaas("retire", "m@3").stdout == "m version 3 is retired\n"
    assert "retired" in amaas("show", "m").stdout
    assert "in use by production" in amaas("retire", "m@1", code=1).stderr
    amaas("retire", "m", code=2)
    amaas("restore", "m@production", code=2)
    assert amaas("restore", "m@3").stdout == "m version 3 is in use again\n"
    amaas("delete", "m", code=1)  # nobody confirmed
    assert models.get(log, "m").alive
    assert "amaas restore m" in amaas("delete", "m", "--yes").stdout
    assert "was deleted" in amaas("show", "m", code=1).stderr
    assert amaas("restore", "m").stdout == "m is in service again\n"
    what = amaas("history", "m").stdout
    assert all(words in what for words in ("version 3 retired", "version 3 restored", "deleted", "restored"))


def test_edit_and_search(amaas: Run, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# About m")
    assert "its tags are eu, shop" in amaas("edit", "m", "--tag", "shop", "--tag", "eu", "--card", str(card)).stdout
    assert "About m" in amaas("show", "m").stdout
    assert "card edited, tags edited" in amaas("history", "m").stdout
    assert "m" in amaas("ls", "--tag", "eu", "--task", "tensor").stdout
    assert amaas("ls", "--tag", "us").stdout.startswith("no models")
    assert "nothing to edit" in amaas("edit", "m", code=1).stderr


def test_verify_and_its_anchor(amaas: Run, log: Log) -> None:
    shown = amaas("verify", "m").stdout
    assert "verified: 3 records" in shown
    anchor = shown.rpartition("anchor to keep: ")[2].strip()
    amaas("verify", "m", "--anchor", anchor)
    amaas("promote", "m", "2")
    amaas("verify", "m", "--anchor", anchor)
    assert "differs from the anchor" in amaas("verify", "m", "--anchor", f"3:{DIGEST}", code=1).stdout
    amaas("verify", "m", "--anchor", f"9:{DIGEST}", code=1)
    amaas("verify", "m", "--anchor", "nonsense", code=2)
    log.store.delete(keys.log_record("m", 2))
    shown = amaas("verify", "m", code=1).stdout
    assert "does NOT verify" in shown
    assert "the record is missing" in shown
    assert json.loads(amaas("verify", "m", "--json", code=1).stdout)["verified"] is False


def test_differences(amaas: Run, log: Log) -> None:
    assert "no difference" in amaas("diff", "m").stdout
    push(log, "m", metrics={"accuracy": 0.92}, licence="MIT")
    shown = amaas("diff", "m", "1", "4").stdout
    assert "accuracy" in shown
    assert "licence" in shown
    assert json.loads(amaas("diff", "m", "--json").stdout)["to"] == 4


def test_a_release_policy(amaas: Run) -> None:
    assert "has no release policy" in amaas("policy", "m").stdout
    set_to = amaas(
        "policy", "m", "--steps", "10,100", "--bake", "5", "--metric", "slow", "--metric", "server_errors"
    ).stdout
    assert "rolls worse canaries back by slow, server errors (alpha 0.01); goes on by persons alone" in set_to
    on = amaas("policy", "m", "--promote").stdout  # what is not said stays
    assert "10 % → 100 %, 5 minutes and 200 calls at least, if a loss above 1 % is excluded" in on
    assert "goes on by itself" in amaas("policy", "m").stdout
    assert "goes on by itself, 10 %" in " ".join(amaas("history", "m").stdout.split())
    amaas("protect", "m", "production")
    assert json.loads(amaas("policy", "m", "--json").stdout)["bake_minutes"] == 5
    assert "must rise" in amaas("policy", "m", "--steps", "50,5", code=1).stderr
    amaas("policy", "m", "--steps", "a,b", code=2)
    amaas("policy", "m", "--off", "--promote", code=2)
    assert "has no release policy" in amaas("policy", "m", "--off").stdout
    assert "rolls worse canaries back" in amaas("policy", "m", "--on").stdout  # by the defaults alone
    amaas("policy", "m", "--off")
    assert "persons alone" in amaas("policy", "m", "--on", "--no-abort").stdout


def test_a_release_policy_of_two_persons(amaas: Run) -> None:
    amaas("protect", "m", "production", "--two-person")
    assert "two persons" in amaas("policy", "m", "--promote", code=1).stderr
    asked = amaas("policy", "m", "--promote", "--request").stdout
    number = asked.split("request ")[1].split()[0]
    amaas("approve", "m", number, by="bob")
    assert "goes on by itself" in amaas("policy", "m").stdout
    assert "moved by two persons" in amaas("protect", "m", "production", "--two-person").stdout
