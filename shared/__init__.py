"""What the functions are made of."""

import os
import sys

# msgspec takes typing_extensions where that can be had, and needs nothing of it on a Python as new as ours: that would
# be a quarter of the authorizer's start
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # how Python spells "cannot be imported"
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]
