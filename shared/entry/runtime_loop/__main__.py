"""Start: the log, the function's import, the snapshot if there is one, then calls."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from shared import logs
from shared.entry import streamed
from shared.entry.runtime_loop import loop
from shared.entry.runtime_loop.api import Api

MODE = "RESPONSE_TRANSFER_MODE"  # RESPONSE_STREAM: template.yaml integrates all routes of the function so
FRAME = 0xA55A0002  # of a line in JSON; its level is added


class NoHandler(Exception):
    """_HANDLER names no function. kind: as Lambda names that."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Frames(logging.Handler):
    """Lines of the log in frames, which tell Lambda where one ends whatever is in it, and its level."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode() + b"\n"
            kind = FRAME + (record.levelno // 10 + 1) * 4
            micros = int(record.created * 1e6)
            self._file.write(kind.to_bytes(4, "big") + len(line).to_bytes(4, "big") + micros.to_bytes(8, "big") + line)
        except Exception:
            self.handleError(record)


def log_as_lambda_does() -> None:
    """Where Lambda's own client would write the log, in JSON; elsewhere logs.configure has set it up already."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # figures are lines on it
    place = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") != "JSON":
        return
    writing: logging.Handler = logging.StreamHandler(sys.stdout)
    if place is not None:
        os.set_inheritable(int(place), False)
        writing = Frames(os.fdopen(int(place), "wb", 0))
    writing.setFormatter(logs.JsonLines())
    writing.addFilter(_name_call)
    logging.getLogger().addHandler(writing)


def _name_call(record: logging.LogRecord) -> bool:
    if loop.current_id is not None:
        record.requestId = loop.current_id
    return True


def handler_of(name: str) -> Callable[..., Any]:
    """The function that _HANDLER names. Raises NoHandler, and whatever the import of its module raises."""
    path, _, function = name.rpartition(".")
    if not path:
        raise NoHandler("Runtime.MalformedHandlerName", f"_HANDLER is {name!r}: name a module, a dot and a function")
    try:
        module = importlib.import_module(path.replace("/", "."))
    except ImportError as error:
        raise NoHandler("Runtime.ImportModuleError", f"Unable to import module '{path}': {error}") from error
    except SyntaxError as error:
        raise NoHandler("Runtime.UserCodeSyntaxError", f"Syntax error in module '{path}': {error}") from error
    found: Callable[..., Any] | None = getattr(module, function, None)
    if found is None:
        raise NoHandler("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{path}'")
    return found


def take_snapshot(api: Api) -> None:
    """Wait, as a snapshot, for being restored, with the function's hooks before and after. Errors end the process."""
    import snapshot_restore_py as hooks

    try:
        for work, positional, named in reversed(hooks.get_before_snapshot()):
            work(*positional, **named)
        api.ask("GET", "/restore/next")
    except Exception as error:
        loop.report(api, "/init/error", error, "Runtime.BeforeSnapshotError")
        sys.exit(64)
    try:
        for work, positional, named in hooks.get_after_restore():
            work(*positional, **named)
    except Exception as error:
        loop.report(api, "/restore/error", error, "Runtime.AfterRestoreError")
        sys.exit(65)


def main() -> None:
    log_as_lambda_does()
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    streamed.begin_to_stream()
    try:
        handler = handler_of(os.environ["_HANDLER"])
    except Exception as error:
        loop.report(api, "/init/error", error, error.kind if isinstance(error, NoHandler) else None)
        sys.exit(1)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        take_snapshot(api)
    loop.Loop(api, handler, streams=os.environ.get(MODE) == "RESPONSE_STREAM").run()


if __name__ == "__main__":
    main()
