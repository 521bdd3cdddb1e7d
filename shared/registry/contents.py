"""What a version consists of."""

from __future__ import annotations

import hashlib

from shared.registry.state import Version


def digest(version: Version) -> str:
    """What people know a version by: the served model's; with files of its own (weights, a tokenizer), also theirs.

    SHA-256 of lines as `sha256sum` prints them, of the model first, and then by name.
    """
    if not version.files:
        return version.model
    lines = [f"{version.model}  model.onnx", *(f"{digest}  {name}" for name, digest in sorted(version.files.items()))]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
