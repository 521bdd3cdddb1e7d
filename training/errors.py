"""The one error of this job that is the user's to mend; its message says how."""

from __future__ import annotations

import errno


class TrainingError(Exception):
    pass


def full(error: OSError) -> bool:
    """Whether it is for want of room: of the disk, of what one may have of it, or of one file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def out_of_memory(error: BaseException) -> bool:
    """Of the machine, or of a GPU: PyTorch has an error for the one, and only words for the other."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error)
    )
