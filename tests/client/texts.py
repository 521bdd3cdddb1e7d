"""A tiny language model that the function for texts really serves, and a way to hold its answer in the middle."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import msgspec
import pytest
from amaas.api import package

from functions.generate import app as generate
from functions.inference import app as inference
from shared.config import Config
from shared.entry import forward, streamed
from shared.ingest.candidate import Candidate, check_package, store_blobs
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.registry import versions
from shared.registry.log import Log
from tests.decoders import folders
from tests.registry.conftest import ANN


def writing(log: Log, name: str = "writer", *, template: bool = True) -> None:
    """A version of a model that answers with characters at random. template: whether it has chats."""
    candidate = _checked(template)
    named = msgspec.structs.replace(candidate.manifest, name=name)
    upload = f"upload-{name}-{log.read(name).latest + 1}"
    version = store_blobs(log, msgspec.structs.replace(candidate, manifest=named), upload)
    versions.register(log, name, version, ANN)


@cache
def _checked(template: bool) -> Candidate:
    """What the gate makes of the tiny model's folder, with the files' bytes."""
    with TemporaryDirectory() as place:
        folder, room = folders.write(Path(place) / "model"), Path(place) / "gate"
        room.mkdir()
        if not template:
            (folder / "chat_template.jinja").unlink()
        with package.opened(folder) as files:
            declared = manifest.decode(files["amaas.json"].read_bytes(), check_names=True)
            checked = check_package("writer", declared, files, Limits(), room)
            read = {name: _bytes(content) for name, content in checked.files.items()}
            source, model = _bytes(checked.source), _bytes(checked.model)
            return msgspec.structs.replace(checked, source=source, model=model, files=read)


def _bytes(content: Any) -> Any:
    return content.read_bytes() if isinstance(content, Path) else content


def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process sends answers part by part, and /predict of such a model is passed on within it."""
    monkeypatch.setattr(streamed, "_streams", True)
    monkeypatch.setattr(inference, "config", lambda: Config(bucket="amaas", generate_function="generate"))
    monkeypatch.setattr(forward, "_client", lambda endpoint: _Lambda())


class _Lambda:
    """The other function, in this process."""

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        answer = generate.handler(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class Held:
    """Answers wait after their first `pieces` until `go` is set. made: events so far; over: whether the last answer's
    making has ended, in whatever way.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pieces: int = 2) -> None:
        self.go, self.over, self.made = Event(), Event(), 0
        whole = generate.chats.stream

        def stream(*arguments: Any, **options: Any) -> Iterator[bytes]:
            try:
                for event in whole(*arguments, **options):
                    # the first event has the role, and no text
                    if self.made == pieces + 1 and not self.go.wait(300):
                        raise TimeoutError("nobody has set `go`")
                    self.made += 1
                    yield event
            finally:
                self.over.set()

        monkeypatch.setattr(generate.chats, "stream", stream)
