"""A service, or a folder, that means the client ill: it gets no other's token, no terminal, no other file."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from amaas.api import endpoint, transport
from amaas.cli.display import curve, text
from amaas.cli.display.terminal import Terminal
from amaas.client import Client
from amaas.errors import NotConnected
from rich.live import Live
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "amaas_aaaaaaaaaaaa_secret"
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eloss"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One within another's, which has a configuration of its own."""
    (tmp_path / ".local").mkdir()
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.delenv("AMAAS_URL", raising=False)
    return tmp_path


def configure(folder: Path, url: str) -> None:
    (folder / ".local" / "amaas.json").write_text(json.dumps({"api_url": url, "token": "amaas_its_own"}))


def test_a_token_goes_where_its_own_source_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(folder, "https://evil.example/v1")
    assert endpoint.resolve() == ("https://evil.example/v1", "amaas_its_own")
    with pytest.raises(NotConnected, match=r"gets no token but its own.*set AMAAS_URL"):
        endpoint.resolve(token=TOKEN)
    monkeypatch.setenv("AMAAS_TOKEN", TOKEN)
    with pytest.raises(NotConnected, match="gets no token but its own"):
        endpoint.resolve()
    assert endpoint.resolve(url="https://own.example") == ("https://own.example", TOKEN)
    configure(folder, "http://127.0.0.1:4566/v1")  # of this machine
    assert endpoint.resolve() == ("http://127.0.0.1:4566/v1", TOKEN)


def printed(*objects: Any, live: bool = False) -> str:
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=True, color_system=None, width=80)
    if live:
        with Live(Text(EVIL), console=console, auto_refresh=False):
            pass
    else:
        console.print(*objects)
    return out.getvalue()


def test_no_control_characters_of_a_service_reach_the_terminal(capsys: pytest.CaptureFixture) -> None:
    for shown in (printed(EVIL), printed(Text(EVIL)), printed(Text(curve.picture([{EVIL: 1.0}])))):
        assert "]0;owned[2J31mloss" in shown
        assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert not {"\x07", "\x9b", "\u202e"} & set(printed(live=True))  # the console's own escapes are in it
    text.echo(EVIL, err=True)
    curve._print_rows({"metrics": [{EVIL: EVIL}]})
    assert not set(capsys.readouterr().err) & set("\x1b\x07\x9b\u202e")


@pytest.mark.parametrize("value", [{"a": EVIL}, ["ß", "\u200d", "\U0001f469\u200d\U0001f4bb"], {"plain": [1, None]}])
def test_json_is_the_same_value_without_control_characters(value: Any) -> None:
    for indent in (None, 2):
        shown = text.as_json(value, indent)
        assert json.loads(shown) == value
        assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert "ß" in text.as_json("ß")


def test_all_text_goes_through_what_cleans_it() -> None:
    """Nothing else writes to the terminal, so that what is added does not, either."""
    writes = re.compile(r"click\.echo\(|click\.secho\(|(?<![\w.])(?<!def )print\(|(?<!class )(?<!\()\bConsole\(")
    calls = {str(path.relative_to(ROOT)): writes.findall(path.read_text()) for path in (ROOT / "client").rglob("*.py")}
    assert {path: found for path, found in calls.items() if found} == {
        "client/amaas/cli/base.py": ["click.echo(", "click.echo("],  # JSON
        "client/amaas/cli/display/text.py": ["click.echo("],
        "client/amaas/cli/ending.py": ["click.echo("],  # JSON
    }


def test_a_service_does_not_name_files_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Makefile").write_text("mine")
    names = ("curves.png", "Makefile", "../curves.png", ".envrc", "")
    reports = dict.fromkeys(names, "https://store.example")
    client = Client("http://127.0.0.1:1", TOKEN)
    monkeypatch.setattr(client, "get_training_job", lambda job: {"reports": reports})
    monkeypatch.setattr(transport, "download", lambda http, url, name: b"theirs")
    assert client.download_training_reports("j", tmp_path) == [tmp_path / "curves.png"]
    assert (tmp_path / "Makefile").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", "curves.png"]
