"""Tokens: who may call, and what they may do."""

from __future__ import annotations

from amaas.api.connection import Connection, Json


class Tokens(Connection):
    def list_tokens(self) -> list[Json]:
        """All tokens without their secrets, revoked ones included."""
        return list(self._call("listTokens")["tokens"])

    def create_token(self, name: str, scopes: list[str], expires_in_days: float | None = None) -> Json:
        """A new token. The answer's `token` is the secret, which is shown only once."""
        body: Json = {"name": name, "scopes": scopes}
        if expires_in_days is not None:
            body["expires_in_days"] = expires_in_days
        return self._call("createToken", json=body)

    def revoke_token(self, token_id: str) -> Json:
        """Revoke a token: refused as soon as the authorizer's cache has expired. It stays listed."""
        return self._call("revokeToken", {"token_id": token_id})
