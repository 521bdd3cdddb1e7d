"""The verb that talks with a language model: one message, or a conversation on a terminal."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from amaas.cli.base import Context, note, verb
from amaas.cli.display.text import echo
from amaas.cli.predict import Reference, key_option, model_argument
from amaas.errors import AmaasError

if TYPE_CHECKING:
    from amaas.client import Client

Json = dict[str, Any]
verbs = click.Group()
HELP = "/reset begins anew, /exit or Ctrl-D ends, Ctrl-C ends an answer"


@verb(verbs)
@model_argument
@click.argument("message", required=False)
@click.option("--system", help="What the model is told before the conversation.")
@click.option("--max-tokens", type=click.IntRange(1), help="How long an answer may be. Default: as the package says.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0: the likeliest text; more: more various ones.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Only the likeliest tokens of this share.")
@click.option("--seed", type=int, help="The same one gives the same answer.")
@click.option("--stop", multiple=True, help="A text that ends the answer. Repeatable.")
@click.option("--schema", type=click.File("rb"), help="JSON schema, in a file, that the answer is to fit.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is whole.")
@key_option
def chat(
    context: Context,
    model: Reference,
    message: str | None,
    system: str | None,
    schema: Any,
    stop: tuple[str, ...],
    no_stream: bool,
    **options: Any,
) -> None:
    """Chat with a language model.

    MESSAGE is answered once; - stands for standard input, which is read without it, too, if it is piped. Else a
    conversation begins, on a terminal.
    """
    options |= {"stop": list(stop) or None, "response_format": _response_format(schema)}
    talks = message is None and sys.stdin.isatty()
    if talks and (context.as_json or not sys.stdout.isatty()):
        raise click.UsageError("a conversation needs a terminal: give MESSAGE, or - for standard input")
    text = "" if talks else _given(message)
    if not talks and not text:
        raise click.UsageError("the message is empty")
    with context.client() as client:
        conversation = _Conversation(client, model, system, options, streams=not no_stream)
        if talks:
            _talk(conversation)
        elif context.as_json:
            answer = conversation.whole(text)
            context.answer(answer, lambda out: None)
        else:
            conversation.say(text)


def _given(message: str | None) -> str:
    if message is None or message == "-":
        return sys.stdin.buffer.read().decode(errors="replace").strip()
    return message


def _response_format(schema: Any) -> Json | None:
    if schema is None:
        return None
    try:
        described = json.load(schema)
    except ValueError as error:
        raise click.BadParameter(f"is not valid JSON: {error}", param_hint="--schema") from error
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": described}}


class _Conversation:
    """Messages so far, to which each answer is added."""

    def __init__(self, client: Client, model: Reference, system: str | None, options: Json, *, streams: bool) -> None:
        self._client, self._model, self._options, self._streams = client, model, options, streams
        self._beginning: list[Json] = [{"role": "system", "content": system}] if system else []
        self.name = model[0]
        self.reset()

    def reset(self) -> None:
        self._messages = [*self._beginning]

    def whole(self, text: str) -> Json:
        name, version = self._model
        return self._client.chat(name, [*self._messages, _message("user", text)], version, **self._options)

    def say(self, text: str) -> None:
        """Print the answer to a message, as it comes. Raises AmaasError, and then the message was never said.

        An interrupted answer stays in the conversation as far as it came.
        """
        said: list[str] = []
        try:
            reason = self._stream(text, said) if self._streams else self._print_whole(text, said)
            if reason == "length":
                note("the answer is cut: by --max-tokens, the package's limit, the model's context, or a call's time")
        except AmaasError:
            if said:
                echo("")
            raise
        except KeyboardInterrupt:
            self._remember(text, said)
            raise
        self._remember(text, said)

    def _remember(self, text: str, said: list[str]) -> None:
        if answer := "".join(said):
            self._messages += [_message("user", text), _message("assistant", answer)]

    def _stream(self, text: str, said: list[str]) -> str | None:
        """Why the answer has ended."""
        name, version = self._model
        reason = None
        messages = [*self._messages, _message("user", text)]
        with self._client.chat(name, messages, version, stream=True, **self._options) as events:
            for event in events:
                for choice in event.get("choices") or ():
                    if part := choice["delta"].get("content"):
                        said.append(part)
                        echo(part, nl=False)
                    reason = choice.get("finish_reason") or reason
        echo("")
        return reason

    def _print_whole(self, text: str, said: list[str]) -> str | None:
        choice = self.whole(text)["choices"][0]
        said.append(choice["message"]["content"] or "")
        echo(said[0])
        return str(choice["finish_reason"])


def _message(role: str, text: str) -> Json:
    return {"role": role, "content": text}


def _talk(conversation: _Conversation) -> None:
    """Until the end of input. Errors are told, and the conversation goes on."""
    with suppress(ImportError):  # not on every system
        import_module("readline")  # arrows and earlier lines at the prompt of input()
    note(f"{conversation.name}: {HELP}")
    while True:
        try:
            text = input("> ").strip()
            if text == "/exit":
                return
            if text == "/reset":
                conversation.reset()
                note("the conversation begins anew")
            elif text:
                conversation.say(text)
        except EOFError:
            echo("")
            return
        except KeyboardInterrupt:
            echo("")
        except AmaasError as error:
            note(str(error))
