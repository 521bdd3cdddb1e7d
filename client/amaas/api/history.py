"""A model's history: its records, and the verification that none was changed, dropped or inserted."""

from __future__ import annotations

from itertools import islice

from amaas.api.connection import Connection, Json

PAGE = 200  # records per page, at most


class History(Connection):
    def get_history(self, model: str, limit: int | None = None) -> list[Json]:
        """The records of a model's log, newest first: all of them, or the last `limit`."""
        query = {"limit": str(min(limit, PAGE))} if limit else {}
        records = self._pages("getHistory", "records", {"model": model}, query)
        return list(islice(records, limit or None))

    def verify(self, model: str) -> Json:
        """Check a model's whole log: `verified`, `problems` (each with `revision` and `what`), `revision`, `digest`.

        A long log is checked in parts, one call each; `since` is the last record that was not checked, 0 at the end.
        Store revision and digest as an anchor: compared later, they show whether the end of the log was cut off.
        """
        query = {"verify": "true", "limit": "1"}
        part = self._call("getHistory", {"model": model}, params=query)
        report = {name: part.get(name) for name in ("verified", "problems", "revision", "digest", "since")}
        while part.get("verify_next"):
            part = self._call("getHistory", {"model": model}, params=query | {"verify_next": part["verify_next"]})
            report["problems"] = part["problems"] + report["problems"]
            report["verified"], report["since"] = part["verified"], part["since"]
        if report["problems"]:
            report["verified"] = False
        return report

    def matches_anchor(self, model: str, revision: int, digest: str) -> bool:
        """Whether the record at a revision still has the digest of an anchor, from an earlier verify."""
        report = self.verify(model)
        if report["revision"] == revision:
            return bool(report["digest"] == digest)
        query = {"next": str(revision + 2), "limit": "1"}
        after = self._call("getHistory", {"model": model}, params=query)["records"]
        return bool(after and after[0]["revision"] == revision + 1 and after[0].get("previous") == digest)
