"""The one error of this job that is the user's to mend; its message says how."""


class TrainingError(Exception):
    pass


def out_of_memory(error: BaseException) -> bool:
    """Of the machine, or of a GPU: PyTorch has an error for the one, and only words for the other."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error)
    )
