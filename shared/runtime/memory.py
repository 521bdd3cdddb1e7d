"""Returns unused memory to the system."""

from __future__ import annotations

from contextlib import suppress


def trim() -> None:
    """Return freed memory to the system if the C library can (glibc). Takes some milliseconds."""
    import ctypes  # here, as a cold start does not need it

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
