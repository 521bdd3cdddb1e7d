"""What the inference benchmark stands on: that its client reads answers, and that ours answers what the model does."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from bench.calls import dense
from bench.deployed import Bucket
from bench.inference import inside
from bench.load import Connection, written

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


def test_the_handler_is_measured_where_it_answers_as_the_bare_model(tmp_path: Path, moto_endpoint: str) -> None:
    bucket = Bucket.create("measured", moto_endpoint, tmp_path)
    models = {seed: tmp_path / f"{seed}.onnx" for seed in (0, 1)}
    for seed, path in models.items():
        path.write_bytes(dense([4, 3], seed))
    bucket.register([("tiny", models[0].read_bytes())])
    figures = inside.handler(bucket, {"tiny": models[0]}, tmp_path / "log", 0.002)
    assert set(figures["tiny"]) == {"bare", "binary", "json"}
    with pytest.raises(SystemExit, match="other values than the model"):
        inside.handler(bucket, {"tiny": models[1]}, tmp_path / "log", 0.002)
