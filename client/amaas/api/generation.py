"""Texts of a language model: answers to a conversation, and what follows a text; at once, or as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from amaas.api import transport
from amaas.api.answers import Completion
from amaas.api.connection import Connection, Json
from amaas.api.events import Events
from amaas.api.paths import route

LONGEST = 30.0  # seconds; a text is not begun anew after an attempt that took longer, and was paid for


class Generation(Connection):
    @overload
    def chat(
        self,
        /,
        model: str,
        messages: Sequence[Json],
        version: int | str | None = None,
        *,
        stream: Literal[False] = False,
        key: str | None = None,
        **options: Any,
    ) -> Completion: ...

    @overload
    def chat(
        self,
        /,
        model: str,
        messages: Sequence[Json],
        version: int | str | None = None,
        *,
        stream: Literal[True],
        key: str | None = None,
        **options: Any,
    ) -> Events: ...

    def chat(
        self,
        /,
        model: str,
        messages: Sequence[Json],
        version: int | str | None = None,
        *,
        stream: bool = False,
        key: str | None = None,
        **options: Any,
    ) -> Completion | Events:
        """An answer to messages, as {"role": "user", "content": "…"}: `choices[0].message.content`, and `usage`.

        stream: its parts as they are made instead, an iterator of `choices[0].delta.content`, which is to be read to
        its end or closed. options: as OpenAI's API has them, such as max_tokens, temperature, seed, stop,
        response_format, tools; None is as if it were not there. version, key: as predict.

        Raises ApiError, NotConnected; the iterator AmaasError for an answer that breaks off.
        """
        body: Json = {"messages": list(messages), **options}
        return self._text("createChatCompletion", (model, version), body, stream, key)

    @overload
    def complete(
        self,
        /,
        model: str,
        prompt: str,
        version: int | str | None = None,
        *,
        stream: Literal[False] = False,
        key: str | None = None,
        **options: Any,
    ) -> Completion: ...

    @overload
    def complete(
        self,
        /,
        model: str,
        prompt: str,
        version: int | str | None = None,
        *,
        stream: Literal[True],
        key: str | None = None,
        **options: Any,
    ) -> Events: ...

    def complete(
        self,
        /,
        model: str,
        prompt: str,
        version: int | str | None = None,
        *,
        stream: bool = False,
        key: str | None = None,
        **options: Any,
    ) -> Completion | Events:
        """What follows a text: `choices[0].text`, and `usage`. Otherwise as chat, but for messages' own options."""
        return self._text("createCompletion", (model, version), {"prompt": prompt, **options}, stream, key)

    def _text(
        self, operation: str, target: tuple[str, int | str | None], body: Json, stream: bool, key: str | None
    ) -> Completion | Events:
        model, version = target
        body = {name: value for name, value in body.items() if value is not None}
        body |= {"model": model if version is None else f"{model}@{version}"}
        method, path = route(operation)
        headers = {"x-request-key": key} if key else {}
        options: Json = {"headers": headers, "timeout": self._text_timeout, "longest": LONGEST}
        if not stream:
            return Completion(transport.request(self._http, method, path, retry=True, json=body, **options))
        options["headers"]["Accept"] = "text/event-stream"
        return Events(transport.opened(self._http, method, path, json=body | {"stream": True}, **options))
