"""Uploads: push a package, and follow it until it is a version."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from amaas.api import package, transfer
from amaas.api.connection import Connection, Json
from amaas.errors import AmaasError, Rejected


class Uploads(Connection):
    def push(
        self,
        path: str | Path,
        model: str | None = None,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        wait: bool = True,
        timeout: float = 300,
    ) -> Json:
        """Upload a package folder or an .onnx file, and wait until the service has checked it.

        model: by default, the name in amaas.json, else that of the file or folder. on_progress(bytes sent, bytes in
        all) is called from the sending threads. timeout: seconds to wait for the result. Returns the upload's state.
        Raises Rejected with the reason.
        """
        source = Path(path)
        files = package.files(source)
        name = model or package.model_name(source, files)
        session = self._call_once("createUploadSession", {"model": name}, json={"files": package.announcement(files)})
        transfer.send(session["files"], files, on_progress)
        upload = session["upload_id"]
        return self.wait_for_upload(upload, timeout) if wait else self.get_upload(upload)

    def wait_for_upload(self, upload: str, timeout: float = 300) -> Json:
        """Wait until an upload is registered. timeout: in seconds. Raises Rejected; AmaasError at the timeout."""
        deadline, pause = time.monotonic() + timeout, 0.1
        while True:
            state = self.get_upload(upload)
            if state["state"] == "rejected":
                raise Rejected(state)
            if state["state"] == "registered":
                return state
            if time.monotonic() > deadline:
                raise AmaasError(
                    f"upload {upload} is still {state['state']!r} after {timeout:g} s; the service goes on with it: "
                    f"`amaas upload wait {upload}` waits again"
                )
            time.sleep(pause)
            pause = min(pause * 1.3, 2)

    def get_upload(self, upload: str) -> Json:
        """An upload's state: waiting, checking, registered (then `version`) or rejected (then `reason`)."""
        return self._call("getUpload", {"upload_id": upload})

    def list_uploads(self, model: str) -> list[Json]:
        """All uploads of a model, those through the inbox included."""
        return list(self._pages("listUploads", "uploads", {"model": model}))
