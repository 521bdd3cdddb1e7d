"""`make sam-local` installs nothing: it says what is missing, and has Docker pull Amazon's image if none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import sam_local
from tests.anywhere import lambda_image

DOCKER = """#!/bin/sh
echo "$*" >> "$0.calls"
case "$1 $2" in {fails}) exit 1;; esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a stand-in for Docker, which the tests write; nothing else is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "docker"


def install(docker: Path, fails: str) -> None:
    """fails: the commands that end with an error, as patterns of the shell."""
    docker.write_text(DOCKER.format(fails=fails))
    docker.chmod(0o755)


def calls(docker: Path) -> list[str]:
    return Path(f"{docker}.calls").read_text().splitlines()


def test_without_docker_nothing_is_started(docker: Path) -> None:
    with pytest.raises(SystemExit, match="needs Docker: install it"):
        sam_local.ready_image("")
    install(docker, "version*")
    with pytest.raises(SystemExit, match="start its daemon"):
        sam_local.ready_image("")
    assert calls(docker) == ["version"]


def test_amazons_image_is_pulled_if_docker_lacks_it(docker: Path) -> None:
    install(docker, "image*")
    assert sam_local.ready_image("") == sam_local.AMAZON_IMAGE
    assert calls(docker)[1:] == [f"image inspect {sam_local.AMAZON_IMAGE}", f"pull {sam_local.AMAZON_IMAGE}"]
    install(docker, "image*|pull*")
    with pytest.raises(SystemExit, match="LAMBDA_IMAGE=NAME"):
        sam_local.ready_image("")


def test_a_named_image_is_used_and_never_pulled(docker: Path) -> None:
    install(docker, "nothing")
    assert sam_local.ready_image("mirror/python:3.11") == "mirror/python:3.11"
    install(docker, "image*")
    with pytest.raises(SystemExit, match=r"Docker has no image 'mirror/python:3\.11'"):
        sam_local.ready_image("mirror/python:3.11")
    assert not [call for call in calls(docker) if call.startswith("pull")]


def test_the_stand_in_for_the_image_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "amazon" not in lambda_image.NAME and "aws" not in lambda_image.NAME
    monkeypatch.setattr(lambda_image.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="as root on Debian"):
        lambda_image.build()
