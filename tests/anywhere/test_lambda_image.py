"""`make sam-local` installs nothing: it says what is missing, pulls Amazon's image, or makes one when it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import lambda_image

DOCKER = """#!/bin/sh
echo "$*" >> "$0.calls"
case "$1 $2" in {fails}) exit 1;; esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that notes its calls; its file is written by the tests, and nothing else is on the PATH but a shell."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "docker"


def stands_in(docker: Path, fails: str) -> None:
    docker.write_text(DOCKER.format(fails=fails))
    docker.chmod(0o755)


def calls(docker: Path) -> list[str]:
    return Path(f"{docker}.calls").read_text().splitlines()


def test_what_is_missing_is_said(docker: Path) -> None:
    with pytest.raises(SystemExit, match="needs Docker: install it"):
        lambda_image.ready(own=False)
    stands_in(docker, "version*")
    with pytest.raises(SystemExit, match="start its daemon"):
        lambda_image.ready(own=True)
    assert calls(docker) == ["version"]


def test_amazons_image_is_pulled_and_a_failure_names_the_other_way(docker: Path) -> None:
    stands_in(docker, "image*")
    assert lambda_image.ready(own=False) == lambda_image.AMAZONS
    assert calls(docker)[1:] == [f"image inspect {lambda_image.AMAZONS}", f"pull {lambda_image.AMAZONS}"]
    stands_in(docker, "image*|pull*")
    with pytest.raises(SystemExit, match="OWN_IMAGE=1"):
        lambda_image.ready(own=False)


def test_an_image_of_our_own_has_a_name_of_our_own(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands_in(docker, "image*")
    monkeypatch.setattr(lambda_image.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="needs root on Debian"):
        lambda_image.ready(own=True)
    stands_in(docker, "nothing")
    assert lambda_image.ready(own=True) == lambda_image.OWN
    assert "amazon" not in lambda_image.OWN and "aws" not in lambda_image.OWN
