"""What the service's functions have logged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from time import sleep

from amaas.api.connection import Connection, Json

PAUSE = 3.0  # seconds between two looks
# seconds that each look goes back behind the last one's end: lines come to a log late
OVERLAP = timedelta(seconds=60)


class Logs(Connection):
    def get_logs(
        self,
        request_id: str | None = None,
        *,
        model: str | None = None,
        function: str | None = None,
        level: str | None = None,
        since: str = "1h",
        until: str | None = None,
        follow: bool = False,
    ) -> Iterator[Json]:
        """Lines, oldest first: `at`, `function`, `level`, `message`, `fields`, and of an exception its `trace`.

        request_id: of a call: all lines of it. level: DEBUG, INFO, WARNING or ERROR, or worse. since, until: a time
        (2026-01-31T17:00:00Z), or so long ago: 15m, 24h. follow: go on with what is logged from now on, without end.
        """
        named = {"request_id": request_id, "model": model, "function": function, "level": level, "until": until}
        query = {name: value for name, value in named.items() if value is not None} | {"since": since}
        shown = dict[tuple[str, str], str]()  # the time of each line that was given
        while True:
            end = None
            for page in self._log_pages(query):
                end = page["until"]
                lines = {(line["function"], line["id"]): line for line in page["lines"]}
                yield from (line for key, line in lines.items() if key not in shown)
                shown |= {key: line["at"] for key, line in lines.items()} if follow else {}
            if not follow or end is None:
                return
            query["since"] = _text(datetime.fromisoformat(end) - OVERLAP)
            shown = {key: at for key, at in shown.items() if at >= query["since"]}
            sleep(PAUSE)

    def _log_pages(self, query: dict[str, str]) -> Iterator[Json]:
        """All pages of one look; what is logged meanwhile is of the next one."""
        while True:
            page = self._call("getLogs", params=query)
            yield page
            if page["next"] is None:
                return
            query = query | {"since": page["since"], "until": page["until"], "next": page["next"]}


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
