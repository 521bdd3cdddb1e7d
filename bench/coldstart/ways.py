"""The ways to a first answer that coldstart.md compares: a floor of ten lines, and the function on several sources."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.calls import Call, event, v2_binary
from bench.deployed import AUTHORIZER, HANDLER, Bucket, built
from bench.machine import ONE_THREAD, ROOT
from shared.access import tokens
from shared.access.records import Seals
from shared.runtime import arrays, onnx
from shared.signing.local import LocalKey
from tests import emulator
from tools import build

Way = tuple[emulator.Function, dict[str, Any]]
FLOOR = """\
import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession("model.onnx", options)
feeds = {name: np.ones(shape, dtype) for name, shape, dtype in FEEDS}

def handler(event, context):
    return {"statusCode": 200, "body": [float(output.sum()) for output in session.run(None, feeds)]}
"""


def ways(models: dict[str, Path], bucket: Bucket, home: Path) -> dict[str, dict[str, Way]]:
    """By model and way: a function, and the event that it is called with. The models are in the bucket already."""
    parts = built(home / "build", "InferenceFunction", "CoreLayer", "RuntimeLayer")
    layers, env = [parts["CoreLayer"], parts["RuntimeLayer"]], bucket.environment()
    outside = emulator.Function(parts["InferenceFunction"], HANDLER, layers, env)
    by_model: dict[str, dict[str, Way]] = {}
    for name, path in models.items():
        arrays = feeds(onnx.load(path.read_bytes()))
        body, headers = v2_binary(arrays)
        call = event(Call(f"/v2/models/{name}/infer", headers, body))
        bare = floor(home / f"floor-{name}", path, arrays, parts["RuntimeLayer"])
        layer = models_layer(home / "layers" / name, name, path)
        inside = replace(outside, layers=[*layers, layer], env=env | {"MODELS_DIR": str(layer / "models")})
        by_model[name] = {
            "floor": (bare, {}),
            "floor, one BLAS thread": (replace(bare, env=ONE_THREAD), {}),
            "layer": (inside, call),
            "store, named": (replace(outside, env=env | {"PREFETCH": name}), call),
            "store": (outside, call),
        }
    return by_model


def authorizer(bucket: Bucket, home: Path) -> Way:
    """What every first call waits for before the function that answers: a token is checked against the bucket."""
    parts = built(home / "authorizer", "AuthorizeFunction", "CoreLayer")
    key = LocalKey.create(home / "token-key.pem")
    _, secret = tokens.create(bucket.log().store, "bench", ["infer"], seals=Seals(key, (key.public,)))
    event = json.loads((ROOT / "tests" / "events" / "authorizer_request.json").read_text())
    env = ONE_THREAD | {"BUCKET": bucket.name, "AWS_ENDPOINT_URL": bucket.endpoint}
    env |= {"PUBLIC_KEYS": base64.b64encode(key.public).decode()}
    function = emulator.Function(parts["AuthorizeFunction"], AUTHORIZER, [parts["CoreLayer"]], env)
    return function, event | {"headers": {"authorization": f"Bearer {secret}"}}


def floor(folder: Path, model: Path, feeds: dict[str, np.ndarray], runtime: Path) -> emulator.Function:
    """The ten lines, with bytecode."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.read_bytes())
    shapes = [(name, array.shape, array.dtype.name) for name, array in feeds.items()]
    (folder / "floor.py").write_text(FLOOR.replace("FEEDS", repr(shapes)))
    build.compile_(folder, "/var/task")
    return emulator.Function(folder, "floor.handler", [runtime])


def models_layer(folder: Path, name: str, model: Path) -> Path:
    """A layer as the build makes it, with this model alone."""
    package, blobs = folder / name, folder / "layer" / "models" / "blobs" / "sha256"
    package.mkdir(parents=True)
    blobs.mkdir(parents=True)
    (package / "model.onnx").symlink_to(model)
    (folder / "layer" / "models" / "index.json").write_text(json.dumps({name: build.serve(package, blobs)}))
    build.finish(folder / "layer", "/opt")
    return folder / "layer"


def feeds(session: onnx.Session) -> dict[str, np.ndarray]:
    """Inputs of the usual size: one image, one short text, one file."""
    random = np.random.default_rng(0)
    inputs: dict[str, np.ndarray] = {}
    for spec in session.inputs:
        shape = [n if n > 0 else (1 if axis == 0 else 16) for axis, n in enumerate(spec.shape)]
        dtype = arrays.DTYPES[spec.datatype]
        whole = np.issubdtype(dtype, np.integer)
        inputs[spec.name] = np.ones(shape, dtype) if whole else random.random(shape, np.float32).astype(dtype)
    return inputs
