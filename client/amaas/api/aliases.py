"""The part of the client that changes what is served: aliases, approvals, retirement, deletion; and looks back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import quote

Json = dict[str, Any]


class Caller(Protocol):
    """What the other half of the client brings."""

    def _call(self, method: str, path: str, **options: Any) -> Json: ...
    def _pages(self, path: str, member: str, query: dict[str, str]) -> Iterator[Json]: ...


class Traffic(Caller):
    """One method per transition. Each is sent with an Idempotency-Key, so that it may be repeated after a lost reply.

    reason: kept in the history. expect_revision: raise ApiError 409 if the model has changed since.
    """

    def promote(self, model: str, version: int, alias: str = "production", **options: Any) -> Json:
        """Point an alias at a version. options: shadow, reason, expect_revision."""
        return self._transition("PUT", self._alias(model, alias), version=version, **options)

    def split(self, model: str, weights: dict[int, int], alias: str = "production", **options: Any) -> Json:
        """Share an alias' calls between versions, by relative weight: {3: 90, 4: 10}. options: as promote."""
        split = {str(version): weight for version, weight in weights.items()}
        return self._transition("PUT", self._alias(model, alias), split=split, **options)

    def rollback(self, model: str, alias: str = "production", *, to: int | None = None, **options: Any) -> Json:
        """Send an alias back to what it named before, or to a version. A second rollback goes further back."""
        return self._transition("POST", f"{self._alias(model, alias)}/rollback", version=to, **options)

    def drop_alias(self, model: str, alias: str, **options: Any) -> Json:
        """Take an alias away. `production` cannot go."""
        return self._transition("DELETE", self._alias(model, alias), **options)

    def protect(self, model: str, alias: str, *, protected: bool = True, two_person: bool = False) -> Json:
        """Say who may move an alias: scope promote only; and only by a request that someone else approves."""
        path = f"{self._alias(model, alias)}/policy"
        return self._transition("PUT", path, protected=protected, two_person=two_person)

    def request(self, model: str, version: int, alias: str = "production", **options: Any) -> Json:
        """Ask for an alias to be pointed at a version; the answer's `request` is what somebody else approves."""
        return self._transition("POST", f"{self._alias(model, alias)}/requests", version=version, **options)

    def approve(self, model: str, request: int, **options: Any) -> Json:
        """Carry out what somebody else asked for."""
        return self._transition("POST", f"{self._model(model)}/requests/{request}/approve", **options)

    def reject(self, model: str, request: int, **options: Any) -> Json:
        """Close a request without carrying it out; one's own is withdrawn so."""
        return self._transition("POST", f"{self._model(model)}/requests/{request}/reject", **options)

    def retire(self, model: str, version: int, **options: Any) -> Json:
        """Take a version out of use: nobody may call it, no alias may name it."""
        return self._transition("POST", f"{self._model(model)}/versions/{version}/retire", **options)

    def restore(self, model: str, version: int | None = None, **options: Any) -> Json:
        """Put a retired version back into use, or undo the deletion of a model."""
        where = self._model(model) if version is None else f"{self._model(model)}/versions/{version}"
        return self._transition("POST", f"{where}/restore", **options)

    def delete(self, model: str, **options: Any) -> Json:
        """Take a model out of service as a whole. It can be restored for a week."""
        return self._transition("DELETE", self._model(model), **options)

    def edit(self, model: str, *, card: str | None = None, tags: list[str] | None = None, **options: Any) -> Json:
        """Replace a model's card (Markdown), its tags, or both."""
        return self._transition("PATCH", self._model(model), card=card, tags=tags, **options)

    def history(self, model: str, limit: int | None = None) -> list[Json]:
        """What happened to a model, newest first; all of it, or the last `limit` records."""
        page = {"limit": str(min(limit, 200))} if limit else {}
        found: list[Json] = []
        for record in self._pages(f"{self._model(model)}/history", "records", page):
            found.append(record)
            if len(found) == limit:
                break
        return found

    def verify(self, model: str) -> Json:
        """{"verified", "problems": [{"revision", "what"}], "revision", "digest"} of a model's log.

        Keep revision and digest: compared later, they show whether the end of the log was cut off.
        """
        query = {"verify": "true", "limit": "1"}
        found = self._call("GET", f"{self._model(model)}/history", params=query)
        return {name: found.get(name) for name in ("verified", "problems", "revision", "digest", "since")}

    def anchored(self, model: str, revision: int, digest: str) -> bool:
        """Whether the record at a revision is still the one whose digest was kept."""
        now = self.verify(model)
        if now["revision"] == revision:
            return bool(now["digest"] == digest)
        query = {"next": str(revision + 2), "limit": "1"}
        after = self._call("GET", f"{self._model(model)}/history", params=query)["records"]
        return bool(after and after[0]["revision"] == revision + 1 and after[0].get("previous") == digest)

    def diff(self, model: str, old: int | str | None = None, new: int | str | None = None) -> Json:
        """What differs between two versions; by default, production and the latest."""
        query = {name: str(value) for name, value in (("from", old), ("to", new)) if value is not None}
        return self._call("GET", f"{self._model(model)}/diff", params=query)

    def _transition(self, method: str, path: str, **body: Any) -> Json:
        given = {name: value for name, value in body.items() if value is not None}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._call(method, path, repeat=True, json=given, headers=headers)

    def _alias(self, model: str, alias: str) -> str:
        return f"{self._model(model)}/aliases/{quote(alias, safe='')}"

    def _model(self, name: str) -> str:
        from amaas.client import _model

        return _model(name)
