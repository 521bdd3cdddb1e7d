"""The beginning of the command: Ctrl-C while it is still being loaded ends it as later on."""

from __future__ import annotations

import os
import sys


def main() -> None:
    try:
        from amaas.cli.app import main as command
    except KeyboardInterrupt:
        os.write(2, b"amaas: interrupted\n")
        sys.exit(130)
    command(prog_name="amaas")
