"""Ends the embedded cloud's workers, processes of up to 100 MB each, when the cloud ends for whatever reason.

    python guardian.py GROUP      standard input: a pipe whose other end only the cloud has

The end of the pipe is the end of the cloud. A parent-death signal would come too early: it is sent when the thread that
started a worker ends, and MiniStack starts workers in threads of a pool.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main(group: int) -> None:
    sys.stdin.buffer.read()
    # the workers keep the group's number from being given away; an empty group is the usual case after `make stop`
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
