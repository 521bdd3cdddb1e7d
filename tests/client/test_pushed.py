"""What verbs say at their ends: of a push, what the version is used for; of a file, what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.gateway import Service, Trouble
from tests.registry.conftest import push


def test_a_first_version_is_production(run: Run, package: Path) -> None:
    said = "fashion version 1 is registered, and is production: `amaas predict fashion …`\n"
    assert run("push", str(package)).stdout == said


def test_a_later_version_is_to_be_promoted(run: Run, log: Log, package: Path) -> None:
    push(log, "fashion")
    said = run("push", str(package)).stdout
    assert said.startswith("fashion version 2 is registered; `amaas predict fashion@2 …` tries it, ")
    assert said.endswith("`amaas promote fashion 2` makes it production\n")


def test_nothing_more_is_said_where_the_model_cannot_be_seen(run: Run, service: Service, package: Path) -> None:
    service.trouble = [Trouble("GET", "/models/fashion$", 403)]
    assert run("push", str(package)).stdout == "fashion version 1 is registered\n"


def test_a_card_in_another_encoding(run: Run, service: Service, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_bytes("Grüße".encode("latin-1"))
    result = run("edit", "m", "--card", "card.md")
    assert result.exit_code == 2 and "card.md is not UTF-8: save it as that" in result.stderr and not service.calls
