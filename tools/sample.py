"""Writes the output of `make run` into the README, so that its sample is of the present models: see `make readme`.

python -m tools.sample OUTPUT
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=^```console\n\$ make run\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
# machine-specific, or secret
HIDDEN = {
    re.escape(str(ROOT)) + "/": "",
    r"(amaas_[0-9a-f]{12}_)[\w-]+": r"\1…",
    r"(^Python [\d.]+): \S+": r"\1: /usr/bin/python3",
}


def redact(output: str) -> str:
    """The output of `make run` for readers: without secrets, paths, and lines of make."""
    for pattern, instead in HIDDEN.items():
        output = re.sub(pattern, instead, output, flags=re.MULTILINE)
    lines = [line for line in output.splitlines() if not line.startswith(("make", "WARNING"))]
    return "\n".join(lines) + "\n"


def main(file: Path) -> None:
    text = README.read_text()
    if len(BLOCK.findall(text)) != 1:
        raise SystemExit("README.md must have exactly one block that starts with `$ make run`: restore it")
    README.write_text(BLOCK.sub(lambda _: redact(file.read_text()), text))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
