"""`python -m api.page FILE`: write the page."""

from __future__ import annotations

import sys
from pathlib import Path

from api.document import document
from api.page import page

Path(sys.argv[1]).write_text(page(document()), "utf-8")
