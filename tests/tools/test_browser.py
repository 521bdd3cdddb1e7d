"""Which Chromium is taken: the one that is named, else one that starts, and never a script that only bears its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import browser, debian

SAYS = "#!/bin/sh\necho 'Chromium {} built on Debian'\n"


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(browser.NAMED, raising=False)
    return folder


def test_one_on_the_path_is_taken(path: Path, tmp_path: Path) -> None:
    program(path, "chromium-browser", "#!/bin/sh\necho 'install it with snap'; exit 1\n")
    with pytest.raises(browser.NoChromium, match=browser.NAMED):
        browser.find(tmp_path / "none")
    expected = program(path, "google-chrome", SAYS.format("156.0.8078.108"))
    assert browser.find(tmp_path / "none").program == expected


def test_one_that_is_too_old_for_the_console_is_not(path: Path, tmp_path: Path) -> None:
    program(path, "chromium", SAYS.format("99.0.4844.51"))
    with pytest.raises(browser.NoChromium):
        browser.find(tmp_path / "none")


def test_the_named_one_is_taken_or_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "chromium", SAYS.format("156.0.8078.108"))
    own = program(tmp_path, "own", SAYS.format("157.0.8103.50"))
    monkeypatch.setenv(browser.NAMED, str(own))
    assert browser.find(tmp_path / "none").program == own
    monkeypatch.setenv(browser.NAMED, str(tmp_path / "mistyped"))
    with pytest.raises(browser.NoChromium, match="mistyped"):
        browser.find(tmp_path / "none")


def test_where_there_is_no_apt_it_says_so_and_does_not_fail(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(debian.Unknown, match="no apt"):
        debian.beside(tmp_path, browser.PACKAGES)
    browser.main(tmp_path / "browser")
    assert "AMAAS_CHROMIUM" in capsys.readouterr().out
