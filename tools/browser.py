"""The browser of the console's tests: a Chromium that this machine has, or Debian's, unpacked beside the environments.

Playwright's own browsers come from elsewhere than a registry, and no package of PyPI has one that Playwright drives.
Debian's needs no root here, no npm, and no display.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools import debian

NAMED = "AMAAS_CHROMIUM"
SYSTEM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PACKAGES = ("chromium-headless-shell", "fonts-open-sans")
# of a browser with windows: with them come 60 MB of graphics drivers
WITHOUT = ("x11-utils", "xdg-utils")
OLDEST = 120  # what the console itself asks for: color-mix(), <dialog>, module preloading, and some
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir>
<alias binding="same"><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
<alias binding="same"><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
<alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


class NoChromium(Exception):
    """There is none, and this machine's packages have none."""


@dataclass(frozen=True)
class Chromium:
    """A program, and what it needs in its environment to find its libraries and fonts."""

    program: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings}

    def version(self) -> str | None:
        """As it says itself; None for what does not start, such as a script that would install it."""
        command = [str(self.program), "--version"]
        try:
            said = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        found = re.search(r"(\d+)\.\d+\.\d+\.\d+", said.stdout)
        return found[0] if found and int(found[1]) >= OLDEST else None


def find(folder: Path) -> Chromium:
    """The one that AMAAS_CHROMIUM names, else one on the PATH, else that in the folder. Raises NoChromium."""
    if named := os.environ.get(NAMED):
        chromium = Chromium(Path(named))
        if chromium.version() is None:
            raise NoChromium(f"{NAMED}={named} is no Chromium of version {OLDEST} or newer that starts")
        return chromium
    for chromium in _candidates(folder):
        if chromium.version() is not None:
            return chromium
    raise NoChromium(f"no Chromium: install one, or set {NAMED}=/path/to/it")


def _candidates(folder: Path) -> Iterator[Chromium]:
    for name in SYSTEM:
        if program := shutil.which(name):
            yield Chromium(Path(program))
    unpacked = folder / "usr" / "lib" / "chromium" / "chromium-headless-shell"
    if unpacked.exists():
        files = [file for kind in ("lib", "usr/lib") for file in (folder / kind).glob("*-linux-gnu/**/*.so*")]
        libraries = ":".join(sorted({str(file.parent) for file in files}))
        yield Chromium(unpacked, {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(folder / "fonts.conf")})


def fetch(folder: Path) -> None:
    """Unpack Debian's Chromium into the folder. Raises debian.Missing, and debian.Unknown where there is none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    debian.beside(folder, PACKAGES, WITHOUT)
    fonts = FONTS.format(fonts=folder / "usr" / "share" / "fonts", cache=folder / "cache")
    (folder / "fonts.conf").write_text(fonts)


def main(folder: Path) -> None:
    try:
        find(folder)
        return
    except NoChromium as error:
        if NAMED in os.environ:
            sys.exit(str(error))
    print("setting up the browser of the console's tests")
    try:
        fetch(folder)
        find(folder)
    except debian.Unknown as error:
        print(f"the console's tests will be skipped: {error}, and no Chromium is here ({NAMED}=/path/to/it names one)")
    except (debian.Missing, NoChromium) as error:
        sys.exit(f"the browser of the console's tests could not be set up: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
