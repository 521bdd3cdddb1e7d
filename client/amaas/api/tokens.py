"""Tokens: who may call, and what they may do."""

from __future__ import annotations

from amaas.api.connection import Connection, Json


class Tokens(Connection):
    def list_tokens(self) -> list[Json]:
        """All tokens without their secrets, revoked ones included."""
        return list(self._pages("listTokens", "tokens", query={"limit": "500"}))

    def get_own_token(self) -> Json:
        """The token that this client calls with: what it may do, and its limits."""
        return self._call("getOwnToken")

    def create_token(
        self,
        name: str,
        scopes: list[str],
        expires_in_days: float | None = None,
        limits: dict[str, float] | None = None,
    ) -> Json:
        """A new token. The answer's `token` is the secret, which is shown only once.

        expires_in_days: by default, as long as the deployment says, which is 90 days. limits: how much it may use at
        most, as {"rate": 5, "burst": 10, "quota": 10_000, "batch_jobs": 2, "training_jobs": 0, "upload_bytes": 10**9};
        those that are omitted are the deployment's.
        """
        body: Json = {"name": name, "scopes": scopes}
        if limits:
            body["limits"] = limits
        if expires_in_days is not None:
            body["expires_in_days"] = expires_in_days
        return self._call_once("createToken", json=body)

    def rotate_token(
        self, token_id: str, overlap_hours: float | None = None, expires_in_days: float | None = None
    ) -> Json:
        """A new token in the place of another, whose name, scopes and limits it has.

        `old_until` says when the old one ends.

        overlap_hours: for which the old one goes on, by default 24.
        """
        options = {"overlap_hours": overlap_hours, "expires_in_days": expires_in_days}
        body = {name: value for name, value in options.items() if value is not None}
        return self._call("rotateToken", {"token_id": token_id}, json=body)

    def revoke_token(self, token_id: str, reason: str | None = None) -> Json:
        """Revoke a token. It stays listed, and is refused within `refused_within` seconds."""
        body: Json = {"reason": reason} if reason else {}
        return self._call("revokeToken", {"token_id": token_id}, json=body)
