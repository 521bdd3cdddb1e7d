"""The servers that ours is measured beside: how each is started, and how it wants to be asked.

Each lives in an environment of its own (requirements/peer-*.in) and is written in bench/peer/ as its documentation has
it; each serves one model with one worker and one thread of ONNX Runtime, on the loopback interface.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.coldstart.world import DEPLOYED
from bench.http_client import Answer
from bench.inference.models import Call, v2_calls, v2_json, v2_values, values
from bench.servers import HOST, ROOT, Server, free_ports

ENVS = ROOT / ".local" / "envs"
SCRIPTS = ROOT / "bench" / "peer"
# those that report to their makers by default, or could, are told not to
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "OTEL_SDK_DISABLED": "true", "NO_COLOR": "1"}


class Form(NamedTuple):
    """How a peer is asked in one form, and what values are in its answer."""

    call: Call
    read: Callable[[Answer], np.ndarray]


@dataclass(frozen=True, slots=True)
class Peer:
    """package: whose version is told. binary: what its binary form is. env: what it has besides MODEL and PORT."""

    title: str
    environment: str
    package: str
    command: list[str]
    ready: str
    forms: Callable[[str], dict[str, Form]]
    binary: str
    env: dict[str, str] = field(default_factory=dict)

    def python(self) -> Path:
        return ENVS / self.environment / "bin" / "python"

    def start(self, model: Path, log: Path) -> tuple[Server, int]:
        """The server with its model loaded, and its port. Raises SystemExit with the end of its log."""
        if not self.python().exists():
            raise SystemExit(f"the environment {self.environment} is not there")
        [port] = free_ports(1)
        command = [part.format(bin=self.python().parent, port=port) for part in self.command]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        told = {"MODEL": str(model), "PORT": str(port), "PYTHONPATH": str(ROOT), "FLOOR": str(floor())}
        server = Server(command, log, cwd=SCRIPTS, env=kept | QUIET | told | self.env)
        try:
            server.wait_for(f"http://{HOST}:{port}{self.ready}", timeout=90)
        except SystemExit:
            server.__exit__()
            raise
        return server, port


def floor() -> Path | str:
    return next(iter((ENVS / "peer-floor" / "lib").glob("python3.*/site-packages")), "")


def _json(answer: Answer) -> np.ndarray:
    return np.array(json.loads(answer.body)["outputs"][0]["data"], np.float32)


def _v2(answer: Answer) -> np.ndarray:
    return v2_values(answer.headers, answer.body)


def _bytes(answer: Answer) -> np.ndarray:
    return np.frombuffer(answer.body, np.float32)


def _array(answer: Answer) -> np.ndarray:
    return np.array(json.loads(answer.body), np.float32).reshape(-1)


def _plain(model: str, path: str) -> Call:
    return Call(path, {"content-type": "application/json"}, v2_json("x" if model == "tiny" else "image", values(model)))


def _file(model: str, path: str) -> Call:
    """The tensor's bytes as a file in the field `tensor` of a form."""
    place = 'content-disposition: form-data; name="tensor"; filename="tensor"'
    head = f"--part\r\n{place}\r\ncontent-type: application/octet-stream\r\n\r\n"
    body = head.encode() + values(model).tobytes() + b"\r\n--part--\r\n"
    return Call(path, {"content-type": "multipart/form-data; boundary=part"}, body)


def _protocol(model: str, name: str = "model") -> dict[str, Form]:
    return {form: Form(call, _v2) for form, call in v2_calls(model, f"/v2/models/{name}/infer").items()}


def _mlserver(model: str) -> dict[str, Form]:
    return {"json": _protocol(model)["json"]}


def _litserve(model: str) -> dict[str, Form]:
    return {"json": Form(_plain(model, "/predict"), _json), "binary": Form(_file(model, "/predict"), _bytes)}


def _bentoml(model: str) -> dict[str, Form]:
    body = json.dumps({"values": values(model).reshape(-1).tolist()}).encode()
    asked = Call("/infer", {"content-type": "application/json"}, body)
    return {"json": Form(asked, _array), "binary": Form(_file(model, "/binary"), _array)}


def _floor(model: str) -> dict[str, Form]:
    bare = Call("/binary", {"content-type": "application/octet-stream"}, values(model).tobytes())
    return {"json": Form(_plain(model, "/infer"), _json), "binary": Form(bare, _bytes)}


def _script(name: str) -> list[str]:
    return ["{bin}/python", f"{name}.py"]


V2_READY = "/v2/models/model/ready"
EXTENSION = "the protocol's binary extension"
PEERS: dict[str, Peer] = {
    "floor": Peer(
        "FastAPI floor", "peer-floor", "fastapi", _script("floor"), "/ready", _floor, "bare bytes, nothing checked"
    ),
    "litserve": Peer(
        "LitServe", "peer-litserve", "litserve", _script("litserve_api"), "/health", _litserve, "a file in a form"
    ),
    "bentoml": Peer(
        "BentoML",
        "peer-bentoml",
        "bentoml",
        ["{bin}/bentoml", "serve", "bentoml_service:OnnxService", "--host", HOST, "--port", "{port}"],
        "/readyz",
        _bentoml,
        "a file in a form; the answer is JSON",
    ),
    "kserve": Peer(
        "kserve server",
        "peer-kserve",
        "kserve",
        [*_script("kserve_model"), "--configure_logging", "false"],
        V2_READY,
        _protocol,
        EXTENSION,
    ),
    "mlserver": Peer(
        "MLServer", "peer-mlserver", "mlserver", _script("mlserver_model"), V2_READY, _mlserver, "none over HTTP"
    ),
}
# in the same web server as the floor, of the same environment; its Python is that of the checks, which has ours
OURS = Peer(
    "Amaas, same web server",
    "dev",
    "uvicorn",
    ["{bin}/python", "-m", "bench.peer.amaas"],
    V2_READY,
    _protocol,
    EXTENSION,
    DEPLOYED,
)
# what of it is web server and the making of events, which a deployment leaves to API Gateway
GATEWAY = replace(OURS, title="(of it, without the function)", env=DEPLOYED | {"REPLAY": "1"})


def version(peer: Peer) -> dict[str, Any]:
    """Of its package and of ONNX Runtime, as its environment has them."""
    from importlib.metadata import distributions

    site = next(iter((ENVS / peer.environment / "lib").glob("python3.*/site-packages")), None)
    found = {d.name: d.version for d in distributions(path=[str(site)])} if site else {}
    return {name: found.get(name, "") for name in (peer.package, "onnxruntime", "uvicorn")}
