"""Puts what a run printed into the README, so that its sample is never of another model: see `make readme`.

python -m tools.sample OUTPUT
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=^```console\n\$ make run\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
# what is of one machine, or secret
HIDDEN = {
    re.escape(str(ROOT)) + "/": "",
    r"(amaas_[0-9a-f]{12}_)[\w-]+": r"\1…",
    r"(^Python [\d.]+): \S+": r"\1: /usr/bin/python3",
}


def shown(output: str) -> str:
    """What a reader may see of the output of `make run`: from its first line of progress on."""
    for pattern, instead in HIDDEN.items():
        output = re.sub(pattern, instead, output, flags=re.MULTILINE)
    lines = [line for line in output.splitlines() if not line.startswith(("make", "WARNING"))]
    return "\n".join(lines) + "\n"


def main(file: Path) -> None:
    text = README.read_text()
    if len(BLOCK.findall(text)) != 1:
        raise SystemExit("README.md has not exactly one block that starts with `$ make run`: put it back")
    README.write_text(BLOCK.sub(lambda _: shown(file.read_text()), text))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
