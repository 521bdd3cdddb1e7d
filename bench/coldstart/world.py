"""What the cold starts are measured on: the product's own build, models pushed through the gate, and the floor."""

from __future__ import annotations

import base64
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench import rie
from bench.inference.models import Call, event, v2_binary
from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.runtime import arrays, onnx
from shared.signing.local import LocalKey
from shared.storage.s3 import S3Store
from shared.uploads import states
from tools import build


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Builds:
    core: Path
    runtime: Path
    inference: Path
    models: dict[str, Path]


HANDLER = "functions.inference.app.handler"
# as template.yaml sets it for every function; the floor is measured with it and without
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
# as it sets it for the inference function
DEPLOYED = ONE_THREAD | {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_TOP_PAD_": "16777216",
}
Subject = tuple[rie.Function, dict[str, Any]]

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


def built(folder: Path, models: list[Model]) -> Builds:
    """The function and its layers as `sam build` makes them, for the Python that runs this; a models layer for each."""
    os.environ["AMAAS_RUNTIME"] = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for resource in ("CoreLayer", "RuntimeLayer", "InferenceFunction"):
        build.main(resource, folder / resource)
    layers = {}
    for model in models:
        packages, layer = folder / "packages" / model.name, folder / "layers" / model.name
        package = packages / model.name
        package.mkdir(parents=True)
        (package / "model.onnx").symlink_to(model.path)
        build.MODELS = packages
        build.models(layer)
        layers[model.name] = layer
    return Builds(folder / "CoreLayer", folder / "RuntimeLayer", folder / "InferenceFunction", layers)


def publish(bucket: str, endpoint: str, models: list[Model], home: Path) -> str:
    """Push the models through the gate; the public key of the records that say so (base64, DER)."""
    store, key = S3Store(bucket, endpoint), LocalKey.create(home / "key.pem")
    log, config = Log(store, signer=key, trusted=(key.public,)), Config(bucket)
    for model in models:
        inbox = f"inbox/{model.name}/model.onnx"
        store.put(inbox, model.path.read_bytes())
        info = store.head(inbox)
        ticket = states.inbox_ticket(store, model.name, inbox, info.etag, info.modified, "bench")
        upload = pipeline.ingest(log, config, ticket, Limits())
        if upload.state != "registered":
            raise SystemExit(f"{model.name}: {msgspec.json.encode(upload).decode()}")
    return base64.b64encode(key.public).decode()


def floor(folder: Path, model: Model, feeds: dict[str, np.ndarray], runtime: Path) -> rie.Function:
    """The ten lines, with bytecode."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.path.read_bytes())
    shapes = [(name, array.shape, array.dtype.name) for name, array in feeds.items()]
    (folder / "floor.py").write_text(FLOOR.replace("FEEDS", repr(shapes)))
    build.compile_(folder, "/var/task")
    return rie.Function(folder, "floor.handler", [runtime])


def subjects(model: Model, builds: Builds, env: dict[str, str], home: Path) -> dict[str, Subject]:
    """The ways to an answer of the model: a function and what it is asked."""
    session = onnx.load(model.path.read_bytes())
    arrays = feeds(session)
    body, headers = v2_binary(arrays)
    asked = event(Call(f"/v2/models/{model.name}/infer", headers, body))
    bare = floor(home / f"floor-{model.name}", model, arrays, builds.runtime)
    layers = [builds.core, builds.runtime]
    bundled = builds.models[model.name]
    inside = rie.Function(builds.inference, HANDLER, [*layers, bundled], env | {"MODELS_DIR": str(bundled / "models")})
    outside = rie.Function(builds.inference, HANDLER, layers, env | {"MODELS_DIR": str(home / "empty")})
    return {
        "floor": (bare, {}),
        "floor, one BLAS thread": (replace(bare, env=ONE_THREAD), {}),
        "layer": (inside, asked),
        "store, named": (replace(outside, env=outside.env | {"PREFETCH": model.name}), asked),
        "store": (outside, asked),
    }


def feeds(session: onnx.Session) -> dict[str, np.ndarray]:
    """An input of the usual size: one image, one short text, one file."""
    random, found = np.random.default_rng(0), {}
    for spec in session.inputs:
        shape = [n if n > 0 else (1 if axis == 0 else 16) for axis, n in enumerate(spec.shape)]
        dtype = arrays.DTYPES[spec.datatype]
        whole = np.issubdtype(dtype, np.integer)
        found[spec.name] = np.ones(shape, dtype) if whole else random.random(shape, np.float32).astype(dtype)
    return found
