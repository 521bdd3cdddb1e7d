"""What the inference benchmark stands on: that its client reads answers, and that ours answers what the model does."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from bench.http_client import Connection, written
from bench.inference import handler, models
from functions.inference import app

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"Content-Length: 5\r\n\r\nhello"],
        [HEAD + b"Content-Length: 5\r\n\r\nhe", b"llo"],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"],
    ],
)
def test_an_answer_in_pieces(pieces: list[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(1000)
                for piece in pieces:
                    connected.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        answer = Connection(port).exchange(written("GET", "/", {}, b"", port))
        thread.join()
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", b"hello")


@pytest.mark.parametrize("form", ["json", "binary"])
def test_the_handler_answers_as_the_bare_model(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(models.dense([4, 3], seed=0))
    monkeypatch.setattr(app, "models", app.models)  # put back what `serve` replaces
    handler.serve({"tiny": path})
    reply = app.handler(models.event(models.v2_calls("tiny", "/v2/models/tiny/infer")[form]), None)
    body = models.bytes_of(reply)
    found = models.v2_values({name.lower(): value for name, value in reply["headers"].items()}, body)
    np.testing.assert_allclose(found, handler.bare(path, "tiny")()[0].reshape(-1), rtol=1e-6)
