"""How a command ends: with which exit status, and with what on standard error. No traceback, whatever went wrong.

AMAAS_DEBUG=1 shows the traceback of what was not expected.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any

import click

from amaas.cli.display.text import ASCII, as_json, echo
from amaas.errors import AmaasError, Rejected

DEBUG = "AMAAS_DEBUG"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what is written has no place
# client/README.md has the same table
FAILED, WRONG_USAGE, REJECTED, INTERRUPTED, UNREAD = 1, 2, 3, 130, 141
STATUS = {
    0: "success",
    FAILED: "failure, also of some inputs of a batch job, or of a history that does not verify",
    WRONG_USAGE: "wrong usage",
    REJECTED: "the package was rejected",
    INTERRUPTED: "interrupted by Ctrl-C",
    UNREAD: "what reads standard output has ended before its end, as `head` does",
}


class Interrupted(Exception):
    """Ctrl-C, where there is more to say than that: how to go on."""


class NotRead(Exception):
    """What reads standard output has ended. click would end as of a failure for a BrokenPipeError."""


@contextmanager
def ours() -> Iterator[None]:
    """Of what click ends by itself: as ending.py has it, instead."""
    try:
        yield
    except BrokenPipeError as error:
        raise NotRead from error
    except KeyboardInterrupt:
        raise Interrupted from None


def ended(run: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run a command; its exit status. Errors are told, as JSON where the arguments ask for it."""
    _ready()
    telling = Telling(as_json="--json" in arguments[: arguments.index("--") if "--" in arguments else None])
    try:
        status = run()
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else FAILED
    except BaseException as error:  # the last net
        return telling.of(error)


class Telling:
    """Says on standard error what went wrong."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def of(self, error: BaseException) -> int:
        """The exit status of an error, which is told."""
        if isinstance(error, click.ClickException):
            return self._usage(error)
        if isinstance(error, KeyboardInterrupt | Interrupted | click.Abort):
            return self._interruption(error)
        if isinstance(error, NotRead | BrokenPipeError):
            _discard_output()
            return UNREAD
        if isinstance(error, Rejected):
            self.say(f"the package was rejected{f' ({error.code})' if error.code else ''}: {error}", error.code)
            return REJECTED
        if isinstance(error, AmaasError):
            self.say(str(error), error.code, getattr(error, "status", None), error.request_id)
        elif isinstance(error, OSError):
            self.say(_of_system(error))
            if error.filename is None and error.errno in FULL:
                _discard_output()
        else:
            self._unexpected(error)
        return FAILED

    def say(
        self, message: str, code: str | None = "failed", status: int | None = None, request_id: str | None = None
    ) -> None:
        """A line, or an object with the same members for all errors."""
        with suppress(OSError):  # nobody reads it
            if self.as_json:
                members = {"error": message, "code": code, "status": status, "request_id": request_id}
                click.echo(as_json(members), err=True)
            else:
                echo(f"amaas: {' '.join(message.split())}", err=True)

    def _usage(self, error: click.ClickException) -> int:
        if self.as_json:
            self.say(error.format_message(), "wrong_usage")
        else:
            error.show()
        return error.exit_code

    def _interruption(self, error: BaseException) -> int:
        """Ctrl-C, or a question that was not answered with yes: click makes one exception of both."""
        causes = (error, error.__cause__, error.__context__)
        if any(isinstance(cause, EOFError) for cause in causes):
            self.say("nothing was done: there is nobody to answer; --yes goes without asking")
            return FAILED
        if isinstance(error, click.Abort) and not any(isinstance(cause, KeyboardInterrupt) for cause in causes):
            self.say("nothing was done")
            return FAILED
        if sys.stderr.isatty():
            echo("", err=True)  # behind the terminal's ^C
        self.say(str(error) or "interrupted", "interrupted")
        return INTERRUPTED

    def _unexpected(self, error: BaseException) -> None:
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        what = f"{type(error).__name__}: {error}"[:300]
        self.say(f"this should not have happened ({what}); {DEBUG}=1 shows where, for a report", "unexpected")


@contextmanager
def written(path: str | os.PathLike[str], whole: str) -> Iterator[None]:
    """While a file is written. whole: how to get all of it, for the message of the AmaasError where that fails."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise AmaasError(f"{path} is not whole ({error.strerror or error}): {whole}") from error


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    place = error.filename if error.filename is not None else "standard output" if error.errno in FULL else None
    return f"{os.fsdecode(place)}: {reason}" if isinstance(place, str | bytes | os.PathLike) else reason


def _ready() -> None:
    """Standard output and error take all there is to say: also where they are closed, or of few characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        elif isinstance(stream, TextIOWrapper):
            with suppress(ValueError, OSError):
                stream.reconfigure(errors=ASCII)


def _discard_output() -> None:
    """What Python would still write to standard output when it ends: it would fail again, and say so."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
