"""One call as its handler gets it: who calls, and what with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from shared import errors, json_faults
from shared.access import context as contexts
from shared.access import scopes as scope_rules
from shared.access.callers import Caller
from shared.access.limits import Limits
from shared.entry import proxy
from shared.registry.state import Change
from shared.values import texts


def _without_key(answer: Any) -> None:
    """Nobody repeats a call without an Idempotency-Key."""


class Request(Struct, frozen=True):
    """One call: percent-decoded path parameters, lower-case header names, the raw body. context: of the gateway.

    creates: the id for what the call creates, the same for all attempts under one Idempotency-Key.
    prepare: stores what the answer will be, before the step after which a repetition finds nothing any more.
    caller, name, ancestors, replaces: of the token; see access/records.py. notes: what the handler found out, for the
    call's line in the log: nothing that the caller chose.
    """

    method: str
    path: str
    params: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    scopes: tuple[str, ...]
    caller: str
    id: str
    name: str | None = None
    context: dict[str, Any] = {}
    ancestors: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    creates: str = ""
    prepare: Callable[[Any], None] = _without_key
    notes: dict[str, Any] = {}

    @property
    def idempotency_key(self) -> str | None:
        return self.headers.get("idempotency-key")

    def digest(self) -> str:
        from shared.entry import idempotency  # few calls have a key

        segments = [proxy.decode_segment(segment) for segment in self.path.removesuffix("/").split("/")]
        return idempotency.digest(self.method, segments, self.query, self.body)

    def change(self, reason: str | None = None, expect_revision: int | None = None) -> Change:
        """The change that this call requests: who and why."""
        key = self.idempotency_key
        return Change(
            by=self.caller,
            name=self.name,
            reason=reason,
            expect_revision=expect_revision,
            # with the digest, as a key may be used for another call when its answer is kept no longer
            request_id=f"{self.caller}/{key} {self.method} {self.path} {self.digest()}" if key else None,
            may_promote=scope_rules.allows(self.scopes, "promote", self.params.get("model")),
            ancestors=self.ancestors,
        )

    @property
    def owner(self) -> Caller:
        """The caller, as the owner of what the token has created."""
        return Caller(id=self.caller, scopes=self.scopes, replaces=self.replaces)

    @property
    def limits(self) -> Limits:
        """The caller's limits. Raises Unavailable."""
        return contexts.limits(self.context.get("authorizer") or {})

    @property
    def limited(self) -> str:
        """Whose limits the call counts against: a rotated token's are those of the first one that it replaced."""
        return self.replaces[-1] if self.replaces else self.caller

    def require(self, scope: str, model: str) -> None:
        """Raises Forbidden unless the caller has the scope for a model that is not in the path."""
        scope_rules.require(self.scopes, scope, model)

    def json(self, of: Any = dict[str, Any]) -> Any:
        """The body as JSON of a given type; an empty body is an empty object. Raises BadInput."""
        try:
            body, _ = texts.in_utf8(self.body, self.headers.get("content-type") or "application/json")
            return msgspec.json.decode(body or b"{}", type=of)
        except errors.Unsupported as error:  # a charset, which is no reason to describe one more status of each route
            raise errors.BadInput(str(error)) from error
        except msgspec.ValidationError as error:
            raise errors.BadInput(f"the body does not fit: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.BadInput(f"the body is not valid JSON: {json_faults.reason(body, error)}") from error

    def options(self, of: Any) -> Any:
        """The query as a Struct: texts are converted to its members' types. Raises BadInput."""
        try:
            options = msgspec.convert(self.query, of, strict=False)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$.")
            name = path.rstrip("`")
            if not name:
                raise errors.BadInput(f"the query does not fit: {error}") from error
            raise errors.BadInput(
                f"the query's {name} does not fit: {problem}, not {self.query.get(name, '')[:40]!r}"
            ) from error
        for member, name in zip(of.__struct_fields__, of.__struct_encode_fields__, strict=True):
            # msgspec takes the text `null` for None where no text is expected; a query has no null
            if name in self.query and getattr(options, member) is None:
                raise errors.BadInput(f"the query's {name} does not fit: omit it, or give a value that is not null")
        return options
