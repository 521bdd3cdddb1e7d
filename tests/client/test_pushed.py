"""What `amaas push` says at its end: what the version is used for, and what to do next."""

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
