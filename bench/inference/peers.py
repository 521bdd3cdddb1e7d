"""The servers that ours is measured beside: how each is started, and how it wants to be called.

Each lives in an environment of its own (requirements/peer-*.in) and is written in bench/inference/peer/ as its
documentation has it; each serves one model with one worker and one thread of ONNX Runtime, on the loopback interface.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.calls import Call, v2_calls, v2_json, v2_values, values
from bench.inference.page import TITLES
from bench.load import Answer
from bench.machine import ROOT
from tests.servers import HOST, Server, free_ports

ENVS = ROOT / ".local" / "envs"
SCRIPTS = ROOT / "bench" / "inference" / "peer"
# those that report to their makers by default, or could, are told not to
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "OTEL_SDK_DISABLED": "true", "NO_COLOR": "1"}
JSON = {"content-type": "application/json"}


class Form(NamedTuple):
    """How a server is called in one form, and what values are in its answer."""

    call: Call
    read: Callable[[Answer], np.ndarray]


@dataclass(frozen=True, slots=True)
class Peer:
    """package: whose version is told. ready: a path that answers 200 once it serves. forms: of a model, by name."""

    package: str
    command: list[str]
    ready: str
    forms: Callable[[str], dict[str, Form]]
    environment: str = ""

    def site(self) -> Path:
        return next(iter((ENVS / self.environment / "lib").glob("python3.*/site-packages")), ENVS / "none")

    def start(self, model: str, path: Path, log: Path, env: dict[str, str]) -> tuple[Server, int]:
        """The server with its model loaded, and its port. Raises RuntimeError with the end of its log."""
        if not self.site().exists():
            raise RuntimeError(f"the environment is missing: make .local/envs/{self.environment}/.ready")
        [port] = free_ports(1)
        bin_ = ENVS / self.environment / "bin"
        command = [part.format(bin=bin_, port=port) for part in self.command]
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own |= QUIET | {"MODEL": str(path), "PORT": str(port), "PYTHONPATH": str(ROOT)}
        server = Server(command, log, cwd=SCRIPTS, env=own | {"FLOOR": str(PEERS["floor"].site())} | env)
        try:
            server.wait_for(f"http://{HOST}:{port}{self.ready.format(model=model)}", timeout=90)
        except RuntimeError:
            server.__exit__()
            raise
        return server, port

    def versions(self) -> dict[str, str]:
        """Of its package, of ONNX Runtime and of Uvicorn, as its environment has them."""
        installed = {d.name: d.version for d in distributions(path=[str(self.site())])}
        return {"server": installed.get(self.package, "")} | {
            name: installed.get(name, "") for name in ("onnxruntime", "uvicorn")
        }


def _json(answer: Answer) -> np.ndarray:
    return np.array(json.loads(answer.body)["outputs"][0]["data"], np.float32)


def _v2(answer: Answer) -> np.ndarray:
    return v2_values(answer.headers, answer.body)


def _bytes(answer: Answer) -> np.ndarray:
    return np.frombuffer(answer.body, np.float32)


def _array(answer: Answer) -> np.ndarray:
    return np.array(json.loads(answer.body), np.float32).reshape(-1)


def _plain(model: str, path: str) -> Call:
    return Call(path, JSON, v2_json("x" if model == "tiny" else "image", values(model)))


def _file(model: str, path: str) -> Call:
    """The tensor's bytes as a file in the field `tensor` of a form."""
    place = 'content-disposition: form-data; name="tensor"; filename="tensor"'
    head = f"--part\r\n{place}\r\ncontent-type: application/octet-stream\r\n\r\n"
    body = head.encode() + values(model).tobytes() + b"\r\n--part--\r\n"
    return Call(path, {"content-type": "multipart/form-data; boundary=part"}, body)


def _protocol(model: str, name: str = "model") -> dict[str, Form]:
    return {form: Form(call, _v2) for form, call in v2_calls(model, f"/v2/models/{name}/infer").items()}


def _litserve(model: str) -> dict[str, Form]:
    return {"json": Form(_plain(model, "/predict"), _json), "binary": Form(_file(model, "/predict"), _bytes)}


def _bentoml(model: str) -> dict[str, Form]:
    body = json.dumps({"values": values(model).reshape(-1).tolist()}).encode()
    return {"json": Form(Call("/infer", JSON, body), _array), "binary": Form(_file(model, "/binary"), _array)}


def _floor(model: str) -> dict[str, Form]:
    bare = Call("/binary", {"content-type": "application/octet-stream"}, values(model).tobytes())
    return {"json": Form(_plain(model, "/infer"), _json), "binary": Form(bare, _bytes)}


def _script(name: str) -> list[str]:
    return ["{bin}/python", f"{name}.py"]


READY = "/v2/models/model/ready"
BENTOML = ["{bin}/bentoml", "serve", "bentoml_service:OnnxService", "--host", HOST, "--port", "{port}"]
KSERVE = [*_script("kserve_model"), "--configure_logging", "false"]
PEERS = {
    "floor": Peer("fastapi", _script("floor"), "/ready", _floor),
    "litserve": Peer("litserve", _script("litserve_api"), "/health", _litserve),
    "bentoml": Peer("bentoml", BENTOML, "/readyz", _bentoml),
    "kserve": Peer("kserve", KSERVE, READY, _protocol),
    "mlserver": Peer("mlserver", _script("mlserver_model"), READY, lambda model: {"json": _protocol(model)["json"]}),
}
PEERS = {name: replace(peer, environment=f"peer-{name}") for name, peer in PEERS.items()}
# in the same web server as the floor, of the same environment; its Python is that of the checks, which has ours
AMAAS = ["{bin}/python", "-m", "bench.inference.peer.amaas"]
OURS = Peer("uvicorn", AMAAS, "/v2/models/{model}/ready", lambda model: _protocol(model, model), "dev")
assert {*PEERS, "ours", "gateway", "function"} == set(TITLES)
