"""The error that is the user's to correct, whose message says how; and what both commands do about any error."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from dataclasses import dataclass

AGAIN = 75  # EX_TEMPFAIL of sysexits.h: stopped, and whoever started this may start it again
INTERRUPTED = 130  # by Ctrl-C


class TrainingError(Exception):
    pass


@dataclass(frozen=True)
class Advice:
    """Of a command, what it says after an error that is not a TrainingError, which says so itself."""

    file: Callable[[OSError], str]
    memory: Callable[[], str]
    interrupt: Callable[[], str]


def exit_code(command: str, act: Callable[[], None], advice: Advice) -> int:
    """Run a command; what goes wrong is one line on standard error. Raises what is a mistake of the program's own."""
    try:
        act()
        return 0
    except TrainingError as error:
        return _print(command, str(error))
    except OSError as error:
        return _print(command, f"{error}; {advice.file(error)}")
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return _print(command, f"memory ran out{advice.memory()}")
    except KeyboardInterrupt:
        return _print(command, f"stopped{advice.interrupt()}", INTERRUPTED)


def _print(command: str, message: str, code: int = 1) -> int:
    print(f"{command}: {message}", file=sys.stderr)
    return code


def full(error: OSError) -> bool:
    """Whether it is for want of room: of the disk, of what one may have of it, or of one file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def out_of_memory(error: BaseException) -> bool:
    """Of the machine, or of a GPU: PyTorch has an error for the one, and only words for the other."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error)
    )
