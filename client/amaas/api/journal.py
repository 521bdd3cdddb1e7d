"""What of a push has arrived, noted on this machine: an upload that was interrupted goes on where it was.

A note is of one package for one model of one deployment, and as good as its URLs, which end within hours. It holds
these URLs, so that it is for its owner's eyes only; it is removed when the package is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from amaas.api import json_files

Session = dict[str, Any]  # as the API answers it
SPARE = 60.0  # seconds that the URLs of a session have to be good for, still
FOLDER = "AMAAS_CACHE"  # environment variable: where notes are kept, by default in the user's cache
WHOLE = "whole"  # instead of the parts' numbers, of a file that goes in one piece


class Journal:
    """Safe to share between the threads that send. session: what was announced, if its URLs are still good."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self.session: Session | None = None
        self._arrived: dict[str, dict[str, str]] = {}
        with suppress(OSError, ValueError, KeyError, TypeError):  # a damaged note is none
            noted = json_files.read(path)
            if datetime.fromisoformat(noted["session"]["expires_at"]).timestamp() > time.time() + SPARE:
                self.session, self._arrived = noted["session"], noted["arrived"]

    @classmethod
    def of(cls, url: str, model: str, announced: Any) -> Journal:
        """The note of a package. announced: names, sizes and digests of its files."""
        identity = json.dumps([url, model, announced], sort_keys=True)
        base = os.environ.get(FOLDER) or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "amaas"
        return cls(Path(base) / "uploads" / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json")

    def begin(self, session: Session) -> None:
        """Note a new session, of which nothing has arrived."""
        self.session, self._arrived = session, {}
        self._write()

    def tag(self, name: str, part: str = WHOLE) -> str | None:
        """The ETag of a part that has arrived; None of one that has not."""
        return self._arrived.get(name, {}).get(part)

    def note(self, name: str, tag: str, part: str = WHOLE) -> None:
        with self._lock:
            self._arrived.setdefault(name, {})[part] = tag
            self._write()

    def forget(self) -> None:
        """The package is there, or will not be."""
        self.session, self._arrived = None, {}
        with suppress(OSError):
            self._path.unlink()

    def _write(self) -> None:
        """Best effort: without a note, the next push begins anew."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._path.with_suffix(f".{os.getpid()}")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump({"session": self.session, "arrived": self._arrived}, file)
            draft.replace(self._path)
