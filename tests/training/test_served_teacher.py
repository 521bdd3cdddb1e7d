"""A registered model as a teacher, asked over HTTP: a service on the loopback interface that runs a package's model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import pytest
from amaas.api import tensors, transport
from PIL import Image

from shared.package import manifest
from training import package
from training.errors import TrainingError
from training.served import served
from training.teacher import PackageTeacher, check_labels, teacher

from .conftest import Run, sides
from .packages import described

TOKEN = "amaas_0001_secret"
LABELS = ["left", "right"]


class Service(ThreadingHTTPServer):
    """Has one model, `sides`, whose version 3 is `production`. asked: how many rows each call brought.

    broken: it hangs up on whoever calls.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        opened = package.read(folder)
        self.manifest = manifest.decode((folder / "amaas.json").read_bytes())
        self.session = served(package.serialized(opened.model))
        self.asked: list[int] = []
        self.broken = False

    def version(self) -> bytes:
        """As GET /models/{m}/versions/{v} answers: the manifest, and what the registry knows."""
        return json.dumps({**msgspec.to_builtins(self.manifest), "version": 3, "state": "active"}).encode()

    def infer(self, body: bytes, length: int) -> tuple[bytes, int]:
        """The protocol's binary form: JSON of so many bytes, then one tensor in FP32, there and back."""
        asked = json.loads(body[:length])
        [put], [wanted] = asked["inputs"], asked["outputs"]
        assert put["datatype"] == "FP32" and put["parameters"]["binary_data_size"] == len(body) - length
        rows = np.frombuffer(body, "<f4", offset=length).reshape(put["shape"])
        self.asked.append(len(rows))
        [answer] = self.session.run([wanted["name"]], {put["name"]: rows})
        told = {"name": wanted["name"], "datatype": "FP32", "shape": list(answer.shape)}
        told["parameters"] = {"binary_data_size": answer.nbytes}
        head = json.dumps({"model_name": "sides", "model_version": "3", "outputs": [told]}).encode()
        return head + answer.astype("<f4").tobytes(), len(head)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        found = self.path in ("/models/sides/versions/3", "/models/sides/versions/production")
        self._reply(200, self.server.version(), {}) if found else self._missing()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.broken:
            self.close_connection = True
        elif self.path != "/v2/models/sides/versions/3/infer":
            self._missing()
        else:
            answer, length = self.server.infer(body, int(self.headers[tensors.LENGTH]))
            self._reply(200, answer, {tensors.LENGTH: str(length)})

    def _missing(self) -> None:
        self._reply(404, b'{"error": "there is no such model: GET /models lists them"}', {})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, body, headers = 401, b'{"error": "this token is not known"}', {}
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers | {"Content-Length": len(body)}).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Service]:
    service = Service(folder)
    Thread(target=service.serve_forever, daemon=True).start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()


@pytest.fixture(scope="module")
def master(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sides(images, tmp_path_factory.mktemp("master"), 0)


@pytest.fixture
def service(master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Running, and named by the environment."""
    monkeypatch.chdir(tmp_path)  # away from a deployment that the checkout may know
    monkeypatch.setattr(transport, "BACKOFF", 0.01)
    with serving(master) as running:
        monkeypatch.setenv("AMAAS_URL", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("AMAAS_TOKEN", TOKEN)
        yield running


def test_a_registered_model_answers_as_its_package_does(
    service: Service, master: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = [np.asarray(Image.open(path)) for path in sorted(images.rglob("*.png"))[::12]]
    rows = (np.stack(pixels)[:, None] / np.float32(255)).astype(np.float32)
    monkeypatch.setattr("training.teacher.CARRIED", 4 * rows[0].nbytes)
    own = PackageTeacher(master).logits({"image": rows})
    for wanted in ("sides", "sides@3", "sides@production"):
        taught_by = teacher(wanted)
        assert (taught_by.reference, taught_by.labels) == ("sides@3", LABELS)
        np.testing.assert_allclose(taught_by.logits({"image": rows}), own, rtol=1e-5, atol=1e-5)
    assert service.asked == [4, 4, 2] * 3


def test_a_student_is_trained_by_a_service(service: Service, images: Path, tmp_path: Path, run: Run) -> None:
    small = ["--model", "quick-cnn", "--widths", "8", "8", "8", "--epochs", "1"]
    assert run(images, tmp_path / "out", *small, "--teacher", "sides@production") == 0
    student = described(tmp_path / "out")
    assert student["lineage"]["step"] == "distil"
    assert student["lineage"]["details"]["teacher"] == "sides@3"
    assert service.asked == [16] * 5


def test_a_service_that_cannot_teach_says_why(
    service: Service,
    images: Path,
    tmp_path: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        TrainingError, match=r"the teacher other@production cannot be reached: .*there is no such model"
    ):
        teacher("other")
    with pytest.raises(TrainingError, match=r"sides@4 cannot be reached"):
        teacher("sides@4")
    with pytest.raises(TrainingError, match="same, in the same order"):
        check_labels(teacher("sides"), ["right", "left"])
    monkeypatch.setenv("AMAAS_TOKEN", "amaas_0002_wrong")
    with pytest.raises(TrainingError, match="this token is not known"):
        teacher("sides")
    monkeypatch.setenv("AMAAS_URL", "http://127.0.0.1:9")
    assert run(images, tmp_path / "out", "--teacher", "sides") == 1
    assert "training: the teacher sides@production cannot be reached: http://127.0.0.1:9 does not answer" in (
        capsys.readouterr().err
    )
    monkeypatch.delenv("AMAAS_URL")
    monkeypatch.delenv("AMAAS_TOKEN")
    with pytest.raises(TrainingError, match=r"no service is configured: .*set AMAAS_URL"):
        teacher("sides")


def test_a_service_that_goes_away_ends_the_training_with_its_reason(service: Service) -> None:
    taught_by = teacher("sides")
    service.broken = True
    with pytest.raises(TrainingError, match=r"the teacher sides@3 did not answer: .*is it up"):
        taught_by.logits({"image": np.zeros((1, 1, 12, 12), np.float32)})


def test_an_environment_without_the_clients_packages_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for name in [name for name in sys.modules if name.startswith("amaas.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(TrainingError, match=r"httpx.*pip install -r training/requirements.in \./client"):
        teacher("sides")
