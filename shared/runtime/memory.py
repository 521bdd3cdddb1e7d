"""Memory that this process no longer uses."""

from __future__ import annotations

from contextlib import suppress


def trim() -> None:
    """Give what was freed back to the system, where the C library can (glibc); some milliseconds, else nothing."""
    import ctypes  # when it is needed: not on the way to a first answer

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
