"""`python -m api FILE`: write the description."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api.document import document

Path(sys.argv[1]).write_text(json.dumps(document(), separators=(",", ":"), ensure_ascii=False), "utf-8")
