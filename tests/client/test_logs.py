"""`amaas logs`: lines of a call, of a model, of errors; new ones as they come."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from amaas import Client
from amaas.api import logs as api
from amaas.cli.display import logs as display
from amaas.cli.display.terminal import Terminal

from tests.client.conftest import Run
from tests.client.gateway import Service

LINE: dict[str, Any] = {
    "id": "1", "at": "2026-11-29T10:00:00.000Z", "function": "inference", "level": "ERROR", "message": "unexpected",
    "request_id": "c2f8b3a1-7d5e-4e0a-9c55-08c1f0b0a9d1", "invocation": None, "exception": "OSError: gone",
    "trace": ["  File x"], "fields": {"model": "wine", "status": 500, "why": "two words", "none": None},
}  # fmt: skip


def shown(width: int, terminal: bool) -> list[str]:
    out = io.StringIO()
    console = Terminal(file=out, width=width, color_system=None, force_terminal=terminal, markup=False, highlight=False)
    display.show(console, LINE)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_forty_columns_hold_a_line() -> None:
    rows = shown(40, terminal=True)
    assert rows[0] == "2026-11-29 10:00:00 ERROR   inference"
    assert all(len(row) <= 40 for row in rows)
    assert "".join(row.strip() for row in rows[1:]).startswith("unexpected")


def test_a_pipe_has_one_row_for_a_line_and_one_for_each_frame() -> None:
    assert shown(40, terminal=False) == [
        "2026-11-29 10:00:00 ERROR   inference unexpected  request_id=c2f8b3a1-7d5e-4e0a-9c55-08c1f0b0a9d1  "
        'model=wine  status=500  why="two words"  OSError: gone',
        "      File x",
    ]


def test_what_is_asked_for_is_shown(run: Run, service: Service) -> None:
    service.logs.write("inference", model="wine", request_id="call-1")
    service.logs.write("inference", model="other", request_id="call-2")
    service.logs.write("watch", level="ERROR", message="not judged", model="wine")
    assert len(run("logs").stdout.splitlines()) == 3
    assert "request_id=call-1" in run("logs", "call-1").stdout
    assert len(run("logs", "--model", "wine").stdout.splitlines()) == 2
    [line] = run("logs", "--level", "error", "--json").stdout.splitlines()
    assert (json.loads(line)["function"], json.loads(line)["fields"]) == ("watch", {"model": "wine"})
    assert run("logs", "--function", "ingest").stdout == (
        "nothing of it is in the log since 1h; --since 24h goes further back\n"
    )
    assert run("logs", "--follow", "--until", "1h").exit_code == 2


def test_all_pages_are_read(service: Service) -> None:
    for number in range(230):
        service.logs.write("inference", message=str(number))
    with Client(service.api_url, service.tokens["ann"]) as client:
        assert sorted(int(line["message"]) for line in client.get_logs()) == list(range(230))
    assert len(service.received("GET", "/logs")) == 3


def test_new_lines_are_followed_late_ones_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.logs.write("inference", message="first")
    looks = []

    def pause(seconds: float) -> None:
        """Meanwhile a line comes whose time is before the last look."""
        looks.append(seconds)
        service.logs.write("watch", int(time.time() * 1000) - 20_000 + len(looks), message=f"late {len(looks)}")

    monkeypatch.setattr(api, "sleep", pause)
    with Client(service.api_url, service.tokens["ann"]) as client:
        lines = client.get_logs(follow=True)
        assert [next(lines)["message"] for _ in range(3)] == ["first", "late 1", "late 2"]
