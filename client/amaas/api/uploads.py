"""Uploads: push a package, and follow it until it is a version."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from amaas.api import package, transfer
from amaas.api.connection import Connection, Json
from amaas.api.journal import Journal
from amaas.errors import AmaasError, ApiError, Rejected

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
UNCHECKED = ("failed", "expired")  # states of uploads that ended without a verdict


def _named(source: Path, files: dict[str, Path]) -> str:
    """What a package, or its file, is called, if a model can be. Raises AmaasError."""
    name = package.model_name(source, files)
    if not NAME.fullmatch(name) or ".." in name:
        raise AmaasError(
            f"{name[:200]!r} is what {source} is called, and no model name: give one (--model), of letters, digits, "
            "'.', '_' and '-', at most 100, starting with a letter or a digit"
        )
    return name


class Uploads(Connection):
    def push(
        self,
        path: str | Path,
        model: str | None = None,
        *,
        graph: str | None = None,
        examples: str | Path | None = None,
        trust_pickle: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
        on_note: package.Note | None = None,
        wait: bool = True,
        timeout: float = 300,
    ) -> Json:
        """Upload a package, an .onnx file, a folder in Hugging Face's form or a model that is converted here, and wait
        until the service has checked it.

        A push of large files that was interrupted goes on where it was, if it is called again within the hour.

        model: by default, the name in amaas.json, else that of the file or folder. graph: of a folder with several
        models, the file to push. examples: a CSV file with rows, to prove a conversion with. trust_pickle: read a
        pickle, which runs the code in it. on_progress(bytes sent, bytes in all) is called from the sending threads,
        on_note with a sentence of what was derived that the user should know. timeout: seconds to wait for the result.

        Returns the upload's state. Raises Rejected with the reason.
        """
        source = Path(path)
        rows = None if examples is None else Path(examples)
        with package.opened(source, graph, examples=rows, trust_pickle=trust_pickle, note=on_note) as files:
            name = model or _named(source, files)
            session = self._sent(name, files, on_progress)
        upload = session["upload_id"]
        return self.wait_for_upload(upload, timeout) if wait else self.get_upload(upload)

    def _sent(self, model: str, files: dict[str, Path], on_progress: transfer.Progress | None) -> Json:
        """The upload's session, with all files where they belong; an interrupted one of the same files goes on."""
        announced = {"files": package.announcement(files)}
        journal = Journal.of(self.url, model, announced)
        session = journal.session
        if session is not None:
            try:
                transfer.send(session["files"], files, on_progress, journal)
            except ApiError:  # its URLs are over, or the upload is gone: a new one
                journal.forget()
            else:
                journal.forget()
                return session
        session = self._call_once("createUploadSession", {"model": model}, json=announced)
        large = any("parts" in destination for destination in session["files"])
        if large:
            journal.begin(session)
        transfer.send(session["files"], files, on_progress, journal if large else None)
        journal.forget()
        return session

    def wait_for_upload(self, upload: str, timeout: float = 300) -> Json:
        """Wait until an upload is registered. timeout: in seconds. Raises Rejected; AmaasError at the timeout,
        and for an upload that ended without a verdict.
        """
        deadline, pause = time.monotonic() + timeout, 0.1
        while True:
            state = self.get_upload(upload)
            if state["state"] == "rejected":
                raise Rejected(state)
            if state["state"] == "registered":
                return state
            if state["state"] in UNCHECKED:
                raise AmaasError(
                    f"upload {upload} has {state['state']}: {state.get('reason') or 'no reason was given'}"
                )
            if time.monotonic() > deadline:
                raise AmaasError(
                    f"upload {upload} is still {state['state']!r} after {timeout:g} s; the service goes on with it: "
                    f"`amaas upload wait {upload}` waits again"
                )
            time.sleep(pause)
            pause = min(pause * 1.3, 2)

    def get_upload(self, upload: str) -> Json:
        """An upload's state: waiting, checking, registered (with `version`), rejected, failed, expired (`reason`)."""
        return self._call("getUpload", {"upload_id": upload})

    def list_uploads(self, model: str) -> list[Json]:
        """All uploads of a model, newest first, those through the inbox included."""
        return list(self._pages("listUploads", "uploads", {"model": model}))

    def list_recent_uploads(self) -> list[Json]:
        """Uploads of the last days, of all models that the token may read, newest first.

        For a token that may read all models, also what was put into the inbox in no model's folder: its `model` is
        empty.
        """
        return list(self._pages("listRecentUploads", "uploads"))

    def delete_upload(self, upload: str) -> Json:
        """Delete an upload's files at once. Returns its state, whose `deletion` is the receipt. A version stays."""
        return self._call_once("deleteUpload", {"upload_id": upload})

    def redrive_uploads(self, uploads: Sequence[str] = ()) -> list[Json]:
        """Have uploads checked again that failed, by an admin: these, or all that the queue of failed events names."""
        redriven: list[Json] = []
        while True:
            answer = self._call_once("redriveUploads", json={"uploads": list(uploads)})
            redriven += answer["uploads"]
            if not answer["more"]:
                return redriven
