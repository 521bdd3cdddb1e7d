"""Publish the bundled packages and make one prediction, as any caller does: over HTTP and with `amaas`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from local.settings import ROOT, say, tool

MODELS = ROOT / "layers" / "models"
IMAGES = ROOT / "examples" / "images"
Access = dict[str, Any]


def packages() -> list[Path]:
    """The folders in layers/models that hold a package."""
    return sorted(path.parent for path in MODELS.glob("*/model.onnx"))


def manifest(package: Path) -> dict[str, Any]:
    file = package / "amaas.json"
    declared: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {"name": package.name, "task": "tensor"} | declared


def publish(access: Access) -> int:
    """Push every bundled package whose model has no version yet. Returns how many."""
    missing = [package for package in packages() if not published(access, manifest(package)["name"])]
    for package in missing:
        say(f"publishing {manifest(package)['name']}")
        push(access, package)
    return len(missing)


def published(access: Access, model: str) -> bool:
    status, answer = call(access, "GET", f"/models/{model}")
    return status == 200 and bool(answer.get("versions"))


def renewed(access: Access) -> list[str]:
    """Names of bundled packages whose models have versions, and none of them of the package as it is now."""
    return [package.name for package in packages() if not _is_version(access, package)]


def _is_version(access: Access, package: Path) -> bool:
    """Whether any version was made of the package's model, or none could be listed."""
    name = manifest(package)["name"]
    status, answer = call(access, "GET", f"/models/{name}/versions?limit=100")
    digest = hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()
    return status != 200 or any(version["source"] == digest for version in answer["versions"])


def push(access: Access, package: Path) -> dict[str, Any]:
    """`amaas push`. Raises SystemExit with its output if the package is not registered."""
    env = os.environ | {"AMAAS_URL": access["api_url"], "AMAAS_TOKEN": access["token"]}
    command = [tool("client", "amaas"), "push", str(package), "--json"]
    process = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"amaas push {package.name} failed:\n{process.stdout}{process.stderr}")
    answer: dict[str, Any] = json.loads(process.stdout)
    return answer


def predict(access: Access) -> tuple[str, str, dict[str, Any]] | None:
    """One prediction over HTTP: (model, image, answer), or None if no bundled model takes images."""
    manifests = map(manifest, packages())
    models = [declared["name"] for declared in manifests if declared["task"] == "image-classification"]
    for model in models:
        # an example image is named after the family of models it is for
        for image in sorted(IMAGES.glob(f"{model.partition('-')[0]}*.png")):
            status, answer = call(access, "POST", f"/models/{model}/predict", image.read_bytes(), "image/png")
            if status != 200:
                raise SystemExit(f"predicting {image.name} with {model} was answered {status}: {answer}")
            return model, str(image.relative_to(ROOT)), answer
    return None


def call(
    access: Access, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    """One call of the API: (status, JSON answer)."""
    request = urllib.request.Request(access["api_url"] + path, body, method=method)
    request.add_header("Authorization", f"Bearer {access['token']}")
    request.add_header("Accept", "application/json")
    if body is not None:
        request.add_header("Content-Type", content_type)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
