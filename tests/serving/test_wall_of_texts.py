"""Which tokenizers run in the process that answers, and what one that no gate would stop does to a call."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import functions.inference.app as inference
from shared.package import manifest, processing
from shared.package.manifest import Manifest, Tensor
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.runtime import onnx, tokens
from shared.runtime.confined import Confined
from shared.serving import tasks
from shared.serving import wall as walls
from shared.serving.layer import Layer
from shared.serving.models import Models
from shared.serving.wall import Wall
from shared.signing import model_signing
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.runtime.test_tokens import BACKTRACKING, MULTIPLYING, file
from tests.serving import packages
from tests.serving.test_wall import Context
from tests.support import Answer, caller, load_event

NAME = "tokenizer.json"
MODEL = packages.lookup(4)
SHIPPED = packages.tokenizer().to_str().encode()
ROOT = Path(__file__).resolve().parents[2]


def register(log: Log, name: str, tokenizer: bytes, key: LocalKey | None = None) -> Version:
    inputs = [Tensor("input_ids", "INT64", [-1, -1]), Tensor("attention_mask", "INT64", [-1, -1])]
    described = Manifest(
        name=name,
        task="embedding",
        inputs=inputs,
        outputs=[Tensor("hidden", "FP32", [-1, -1, 4])],
        preprocess=processing.Text(tokenizer=NAME, max_length=8),
    )
    model, parsed = blobs.write(log.store, MODEL), blobs.write(log.store, manifest.encode(described))
    files = {NAME: blobs.write(log.store, tokenizer)}
    signed = {"model.onnx": model, "amaas.json": parsed, **files}
    version = Version(
        version=0,
        task="embedding",
        manifest=parsed,
        source=model,
        model=model,
        size=len(MODEL),
        upload=name,
        files=files,
        package=blobs.write(log.store, model_signing.sign(key, name, signed)) if key else None,
    )
    return versions.register(log, name, version, Change(by="test"))


def layer(folder: Path, wall: Wall) -> Layer:
    """With the model of all versions here, and one tokenizer."""
    files = folder / "blobs" / "sha256"
    files.mkdir(parents=True)
    for body in (MODEL, SHIPPED):
        (files / hashlib.sha256(body).hexdigest()).write_bytes(body)
    (folder / "index.json").write_text(json.dumps({"m": {"format": 1, "model": hashlib.sha256(MODEL).hexdigest()}}))
    return Layer(str(folder), wall=wall)


def kinds(log: Log, wall: Wall, folder: Path, name: str) -> tuple[type, type]:
    """Of the model's session and of the tokenizer's, after a prediction."""
    models = Models(log, ttl=60, capacity=10**9, layer=layer(folder, wall), wall=wall)
    loaded = models.load(name, None)
    assert len(tasks.predict(loaded, b"a", "text/plain", {})["embedding"]) == 4
    return type(loaded.session), type(loaded.parts[NAME])


def test_whom_an_operator_trusts(tmp_path: Path) -> None:
    key = LocalKey.create(tmp_path / "key.pem")
    log = Log(MemoryStore())
    register(log, "shipped", SHIPPED)
    register(log, "foreign", file())  # with the layer's model, which makes its tokenizer no better
    register(log, "signed", file(), key)
    signed = Wall(trusted=walls.SIGNED, signers=(key.public,))
    direct = (onnx.Session, tokens.Tokenizer)
    assert kinds(log, Wall(), tmp_path / "1", "shipped") == direct
    assert kinds(log, Wall(), tmp_path / "2", "foreign") == (onnx.Session, Confined)
    assert kinds(log, Wall(), tmp_path / "3", "signed") == (onnx.Session, Confined)
    assert kinds(log, signed, tmp_path / "4", "signed") == direct
    assert kinds(log, Wall(trusted=walls.NONE), tmp_path / "5", "shipped") == (Confined, Confined)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    log = Log(MemoryStore())
    register(log, "good", SHIPPED)
    register(log, "slow", file(pre_tokenizer=BACKTRACKING))
    register(log, "large", file(normalizer=MULTIPLYING))
    models = Models(log, ttl=60, capacity=10**9, wall=Wall(memory=512 << 20))
    monkeypatch.setattr(inference, "models", lambda: models)
    return models


def predict(name: str, text: str, seconds: float = 600, route: str = "predict") -> Answer:
    event: dict[str, Any] = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": f"/models/{name}/{route}"}
    event |= {"headers": {"content-type": "text/plain"}, "body": text, "isBase64Encoded": False}
    event["queryStringParameters"] = None
    event["requestContext"]["authorizer"] = caller("infer")
    reply = inference.handler(event, Context(seconds))
    return Answer(reply["statusCode"], reply["headers"], reply["body"].encode())


def test_a_slow_tokenizer_is_a_504_and_a_large_one_a_503(models: Models, capsys: pytest.CaptureFixture) -> None:
    assert predict("slow", "a").status == 200
    answer = predict("slow", "a" * 100_000 + " b", seconds=2.5)
    assert (answer.status, "tokenizer was not ready" in answer.json["error"]) == (504, True)
    answer = predict("large", "a" * 100_000)
    assert (answer.status, "tokenizer crashed" in answer.json["error"]) == (503, True)
    assert [predict(name, "c").status for name in ("good", "slow", "large")] == [200] * 3
    assert _counts(capsys) == [[None, "slow"], [None, "large"]]


def test_tokenizers_count_among_what_is_kept(models: Models) -> None:
    for name in ("slow", "large"):
        models.load(name, None)
    models._kept.capacity = sum(entry.memory for entry in models._kept.entries())
    assert predict("large", "a").status == 200
    [kept] = models._kept.entries()
    assert kept.memory > kept.parts[NAME].resident > 0


def _counts(capsys: pytest.CaptureFixture) -> list[list[str | None]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [[line.get("model") for line in lines if name in line] for name in ("ModelTimedOut", "ModelCrashed")]


def test_the_process_that_answers_has_no_tokenizers(tmp_path: Path) -> None:
    """Not even the library: whatever reads a stranger's tokenizer.json has imported it."""
    code = (
        "import sys\nfrom tests.serving import test_wall_of_texts as module\n"
        "for name in [name for name in sys.modules if name.split('.')[0] == 'tokenizers']: del sys.modules[name]\n"
        "class Refusing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'tokenizers': raise ImportError('imported: ' + name)\n"
        "sys.meta_path.insert(0, Refusing())\n"
        "from shared.registry.log import Log\nfrom shared.serving import tasks\n"
        "from shared.serving.models import Models\nfrom shared.storage.memory import MemoryStore\n"
        "log = Log(MemoryStore())\nmodule.register(log, 'm', module.SHIPPED)\n"
        "loaded = Models(log, ttl=60, capacity=10**9).load('m', None)\n"
        "print(len(tasks.predict(loaded, b'the cat', 'text/plain', {})['embedding']))\n"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (process.stdout, process.stderr) == ("4\n", "")
