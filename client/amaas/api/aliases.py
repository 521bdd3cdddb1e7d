"""Aliases: promote, split, roll back, delete; who may move them, and move requests that somebody else approves."""

from __future__ import annotations

from typing import Any

from amaas.api.connection import Connection, Json


class Aliases(Connection):
    """One method per transition.

    change: reason (stored in the history), expect_revision (ApiError 409 if the model has changed since); of promote
    and split also shadow, a version that receives a copy of each request, and whose answer is discarded.
    """

    def promote(self, /, model: str, version: int, alias: str = "production", **change: Any) -> Json:
        """Point an alias to a version."""
        return self._change("setAlias", {"model": model, "alias": alias}, version=version, **change)

    def split(self, /, model: str, weights: dict[int, int], alias: str = "production", **change: Any) -> Json:
        """Divide an alias's requests among versions, by relative weight: {3: 90, 4: 10}."""
        split = {str(version): weight for version, weight in weights.items()}
        return self._change("setAlias", {"model": model, "alias": alias}, split=split, **change)

    def rollback(self, /, model: str, alias: str = "production", *, to: int | None = None, **change: Any) -> Json:
        """Point an alias to its previous target, or to version `to`. Repeated, it goes further back."""
        return self._change("rollbackAlias", {"model": model, "alias": alias}, version=to, **change)

    def delete_alias(self, /, model: str, alias: str, **change: Any) -> Json:
        """Remove an alias. `production` cannot be removed."""
        return self._change("deleteAlias", {"model": model, "alias": alias}, **change)

    def set_alias_policy(
        self,
        /,
        model: str,
        alias: str,
        *,
        protected: bool | None = None,
        two_person: bool | None = None,
        default: bool = False,
        below_default: bool = False,
        release: Json | bool | None = None,
        **change: Any,
    ) -> Json:
        """Who may move an alias. protected: scope promote only, unless it is False. two_person: approved requests only.

        default: what an alias has by default, instead. below_default: said with protected=False of `production`.
        release: how its canaries are watched, as {"promote": True}; False for not at all. What is left out stays.
        """
        body = _policy(protected, two_person, default, below_default, release, **change)
        return self._call_once("setAliasPolicy", {"model": model, "alias": alias}, json=body)

    def create_policy_request(
        self,
        /,
        model: str,
        alias: str,
        *,
        protected: bool | None = None,
        two_person: bool | None = None,
        default: bool = False,
        below_default: bool = False,
        release: Json | bool | None = None,
        **change: Any,
    ) -> Json:
        """Request a policy that takes two persons to set; somebody else approves the answer's `request`.

        As that an alias no longer requires two persons, or that its canaries go on by themselves.
        """
        body = _policy(protected, two_person, default, below_default, release, **change)
        return self._call_once("createPolicyRequest", {"model": model, "alias": alias}, json=body)

    def create_move_request(self, /, model: str, version: int, alias: str = "production", **change: Any) -> Json:
        """Request that an alias be pointed to a version; the answer's `request` is what somebody else approves."""
        return self._change("createMoveRequest", {"model": model, "alias": alias}, version=version, **change)

    def approve_move_request(self, /, model: str, request: int, **change: Any) -> Json:
        """Carry out a move that somebody else requested."""
        return self._change("approveMoveRequest", {"model": model, "number": request}, **change)

    def reject_move_request(self, /, model: str, request: int, **change: Any) -> Json:
        """Close a move request without carrying it out; also withdraws one's own."""
        return self._change("rejectMoveRequest", {"model": model, "number": request}, **change)


def _policy(
    protected: bool | None,
    two_person: bool | None,
    default: bool,
    below_default: bool,
    release: Json | bool | None,
    **change: Any,
) -> Json:
    """The body that says a policy; what is not said is left out."""
    members = {"protected": protected, "two_person": two_person, **change}
    body = {name: value for name, value in members.items() if value is not None}
    body |= {name: True for name, value in (("default", default), ("below_default", below_default)) if value}
    if release is not None:
        body["release"] = {} if release is True else None if release is False else release  # {}: the defaults
    return body
