"""JSON in files of this machine, as editors and shells leave it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    """What a file holds: UTF-8, with a byte order mark or without. Raises OSError; ValueError for what is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError("it has lists or objects within each other, thousands of them") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 ({error.reason} at byte {error.start}): save it as that") from None
