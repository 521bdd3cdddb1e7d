"""Profiles: addresses and tokens that `amaas login` has stored, for their owner's eyes only, in the usual place.

One is used by its name; the one that is called `default` where nothing else is said.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from amaas.api import json_files
from amaas.errors import NotConnected

VARIABLE, DEFAULT = "AMAAS_PROFILE", "default"


class Profile(NamedTuple):
    name: str
    url: str
    token: str


def path() -> Path:
    """The file: where programs of this system keep their settings. Raises NotConnected where there is no such place."""
    try:
        return _folder() / "amaas" / "profiles.json"
    except RuntimeError as error:  # of Path.home
        raise NotConnected(f"there is no home folder for profiles ({error}): set HOME or XDG_CONFIG_HOME") from error


def _folder() -> Path:
    own = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(own):  # the standard has others ignored
        return Path(own)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path.home() / ".config"


def read_all() -> dict[str, Profile]:
    """By name. Raises NotConnected, which names the file, where it is damaged."""
    try:
        stored = json_files.read(path())["profiles"]
        return {name: Profile(name, one["url"], one["token"]) for name, one in stored.items() if _is_whole(one)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise NotConnected(f"{path()} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotConnected(f"{path()} is damaged: remove it, and `amaas login` again") from error


def _is_whole(stored: dict[str, str]) -> bool:
    """Raises KeyError, TypeError for what is no profile."""
    if not (isinstance(stored["url"], str) and isinstance(stored["token"], str)):
        raise TypeError("url and token are texts")
    return True


def read(name: str) -> Profile:
    """Raises NotConnected for one that is not there."""
    stored = read_all()
    if name not in stored:
        others = f", but {', '.join(sorted(stored))}" if stored else ""
        raise NotConnected(f"there is no profile {name!r}{others}: `amaas login --profile {name}` makes it")
    return stored[name]


def chosen() -> Profile | None:
    """The one of AMAAS_PROFILE, else the default, if there is one. Raises NotConnected as `read` does."""
    name = os.environ.get(VARIABLE, "").strip()
    return read(name) if name else read_all().get(DEFAULT)


def store(profile: Profile) -> Path:
    """Add it, or put it in the place of the one of its name. Returns the file."""
    return _write(read_all() | {profile.name: profile})


def remove(name: str) -> Profile:
    """Raises NotConnected for one that is not there."""
    removed, others = read(name), read_all()
    del others[name]
    _write(others)
    return removed


def _write(profiles: dict[str, Profile]) -> Path:
    """Whole or not at all, and never with anybody else able to read it."""
    file = path()
    body = {"profiles": {one.name: {"url": one.url, "token": one.token} for one in profiles.values()}}
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            draft.unlink()
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump(body, out, indent=2, ensure_ascii=False)
        draft.replace(file)
    except OSError as error:
        raise NotConnected(f"{file} cannot be written: {error.strerror or error}") from error
    return file
