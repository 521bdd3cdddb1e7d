"""Set up the browser of the console's tests: Chromium and axe-core from npm's registry, by its ordinary client.

Playwright's own downloads come from elsewhere, which a machine behind a mirror of registries does not reach. The
package of Chromium is made for Lambda: one binary, with the few libraries that a bare Linux lacks.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "browser.json"  # name: version and integrity, as npm states it
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{fonts}/cache</cachedir></fontconfig>
"""


def fetch(name: str, version: str, integrity: str, target: Path) -> Path:
    """Download a package and unpack it; the folder. Raises ValueError for bytes that are not the locked ones."""
    folder = target / name.replace("/", "-").lstrip("@")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    npm = Path(sys.executable).parent / "npm"
    command = [str(npm), "pack", "--silent", f"{name}@{version}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    body = archive.read_bytes()
    if integrity != "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode():
        raise ValueError(f"{archive.name} is not the package of {LOCK.name}: its SHA-512 differs")
    with tarfile.open(fileobj=io.BytesIO(body)) as files:
        files.extractall(folder, filter="data")
    archive.unlink()
    return folder / "package"


def unpack_chromium(package: Path, target: Path) -> None:
    """Write chromium and its libraries, fonts, and software for 3D, from the package's Brotli streams."""
    import brotli

    target.mkdir(parents=True, exist_ok=True)
    for source in sorted((package / "bin").glob("*.br")):
        body = brotli.decompress(source.read_bytes())
        if source.name.endswith(".tar.br"):
            with tarfile.open(fileobj=io.BytesIO(body)) as files:
                files.extractall(target, filter="data")
        else:
            program = target / source.stem
            program.write_bytes(body)
            program.chmod(0o755)
    (target / "fonts.conf").write_text(FONTS.format(fonts=target / "fonts"))


def environment(target: Path) -> dict[str, str]:
    """What Chromium needs beside this process' environment to find its libraries and fonts."""
    libraries = ":".join(str(path) for path in sorted(target.glob("**/lib")) if path.is_dir())
    return {**os.environ, "LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(target / "fonts.conf")}


def main(target: Path) -> None:
    for name, locked in json.loads(LOCK.read_text()).items():
        package = fetch(name, locked["version"], locked["integrity"], target)
        if name == "@sparticuz/chromium":
            unpack_chromium(package, target / "chromium")
            shutil.rmtree(package)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
