"""The command: see tests.zoo."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.zoo import packages


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.zoo", description="models that others have folder, as packages")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", choices=[[], *packages.MADE], metavar="NAME", help=", ".join(packages.MADE))
    arguments = parser.parse_args()
    for name in arguments.names or packages.SHIPPED:
        folder = packages.make(arguments.folder, name)
        print(f"{folder}: {', '.join(f'{file.name} {file.stat().st_size:,} B' for file in sorted(folder.iterdir()))}")


if __name__ == "__main__":
    main()
