"""Folders that are made once, and made anew when what they are made of has changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]


def inputs(packages: Iterable[str], sources: Iterable[Path], before: Path | None = None) -> str:
    """What a folder is made of, one line each: versions of packages, digests of sources, the inputs of `before`.

    before: a folder that `kept` has made, and that this one is made from.
    """
    lines = [f"{name}=={metadata.version(name)}" for name in packages]
    digests = ((path.relative_to(ROOT), hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(sources))
    lines += [f"{path} {digest}" for path, digest in digests]
    return "\n".join(lines) + "\n" + (note(before).read_text() if before else "")


def kept(folder: Path, made_of: str, make: Callable[[Path], None]) -> Path:
    """The folder, filled by `make` if it is not there or was made of something else.

    It is made under another name and moved when it is whole: what was interrupted is made again.
    """
    if folder.is_dir() and note(folder).is_file() and note(folder).read_text() == made_of:
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    make(partial)
    note(folder).unlink(missing_ok=True)  # before the folder is another one
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    note(folder).write_text(made_of)
    return folder


def note(folder: Path) -> Path:
    """The file beside a folder that says what it was made of: nothing is added to what is pushed."""
    return folder.with_name(f"{folder.name}.inputs")
